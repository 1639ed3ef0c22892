"""The name and the features of the processor, from Linux's description."""

import platform
from pathlib import Path

from digits_jax.runtime.hardware import cpu_features, processor_name

CPUINFO = """processor\t: 0
model name\t: ACME Seven
cpu MHz\t\t: 2400.0
flags\t\t: fpu avx2
"""


def written(folder: Path, text: str) -> Path:
    (folder / "cpuinfo").write_text(text)
    return folder / "cpuinfo"


def test_processor_name_is_the_first_model_name(tmp_path: Path) -> None:
    text = CPUINFO + CPUINFO.replace("Seven", "Eight")
    assert processor_name(written(tmp_path, text)) == "ACME Seven"


def test_processor_name_without_a_model_name_is_the_architecture(tmp_path: Path) -> None:
    expected = platform.processor() or platform.machine()
    assert processor_name(tmp_path / "missing") == expected
    assert processor_name(written(tmp_path, "Features\t: fp asimd\n")) == expected


def test_cpu_features_do_not_depend_on_clock_rate_or_number_of_cores(tmp_path: Path) -> None:
    features = cpu_features(written(tmp_path, CPUINFO))
    others = CPUINFO.replace("2400.0", "3100.7").replace("processor\t: 0", "processor\t: 1")
    assert cpu_features(written(tmp_path, CPUINFO + others)) == features


def test_cpu_features_differ_by_model_and_instruction_set(tmp_path: Path) -> None:
    arm = "Features\t: fp asimd\n"
    texts = [CPUINFO, CPUINFO.replace("avx2", "avx512f"), CPUINFO.replace("Seven", "Eight"), arm]
    texts.append(arm.replace("asimd", "sve"))
    assert len({cpu_features(written(tmp_path, text)) for text in texts}) == len(texts)


def test_cpu_features_without_a_description_are_the_architecture(tmp_path: Path) -> None:
    assert cpu_features(tmp_path / "missing") == platform.machine() + platform.processor()
