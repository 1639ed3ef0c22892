"""The table of scans larger than memory: what is found, and how much memory it takes."""

from pathlib import Path

from experiments.common.provenance import RESULTS, read_result
from experiments.figures.markdown import provenance_of, source_list, table_header, table_row


def render_large_scan(results: Path = RESULTS) -> str:
    """Renders a row a scan, and how its figures compare with the whole image's."""
    result = read_result("large_scan", results)
    lines = [
        table_row(
            f"{scan['height']:,}",
            f"{scan['megapixels']:,.0f}",
            f"{scan['detections']:,}",
            f"{scan['resident_gib_before']:.2f} GiB",
            f"{scan['peak_resident_gib']:.2f} GiB",
        )
        for scan in result["scans"]
    ]
    whole = result["same_as_whole"]
    verb = "are the same" if whole["same_boxes_and_labels"] else "differ"
    difference = whole["largest_difference_of_scores"]
    scores = f"scores differ by {difference:g} at most" if difference else "scores are equal"
    note = (
        f"In a scan of {whole['megapixels']:g} megapixels, the {whole['detections']:,} boxes and "
        f"labels {verb} in strips and in the whole; {scores}."
    )
    header = table_header("rows", "megapixels", "digits found", "memory before", "peak memory")
    return "\n".join([*header, *lines, "", note, *source_list([provenance_of(result)])])
