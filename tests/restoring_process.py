"""A process of several that restores checkpoints: `restoring_process.py FOLDER OPTION…`.

FOLDER holds work folders. Process K writes FOLDER-K.json: of each, by its name, the step of the
checkpoint and the SHA-256 of the arrays. In a folder called `UNREADABLE_BY_ONE`, process 1 cannot
read the newest checkpoint, as if only its own host had read damaged bytes. In one called
`SEEN_BY_ONE`, process 1 sees no checkpoint, as if the folder were of process 0's host alone.
"""

import argparse
import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import jax
import numpy as np
from short_run import SHORT

from digits_jax.runtime.distributed import ClusterError, join_processes
from digits_jax.train.checkpoints import Checkpoints, open_checkpoints
from digits_jax.train.workdir import WorkdirError

UNREADABLE_BY_ONE = "unreadable by one"
SEEN_BY_ONE = "seen by one"


def sha256(arrays: Any) -> str:
    """Returns the SHA-256 of the arrays of a tree, in hexadecimal."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(arrays):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def restore(workdir: Path) -> list[Any]:
    """Returns the step of the newest intact checkpoint and the SHA-256 of its arrays.

    If the processes see different checkpoints, it returns the message that says so.
    """
    with open_checkpoints(workdir) as opened:
        try:
            restored = opened.restore_newest(SHORT, lambda _: None)
        except ClusterError as error:
            return [str(error)]
    assert restored is not None
    return [int(restored[0].step), sha256(restored[0])]


def restore_all(
    folder: Path, coordinator: str, num_processes: int, process_id: int
) -> dict[str, list[Any]]:
    """Restores from each work folder in a folder."""
    join_processes(coordinator, num_processes, process_id)
    found = {}
    for workdir in sorted(folder.iterdir()):
        change: AbstractContextManager[object] = nullcontext()
        if process_id == 1 and workdir.name == UNREADABLE_BY_ONE:
            change = mock.patch.object(Checkpoints, "restore", _fail_once)
        if process_id == 1 and workdir.name == SEEN_BY_ONE:
            change = mock.patch.object(Checkpoints, "steps", return_value=[])
        with change:
            found[workdir.name] = restore(workdir)
    return found


_restore = Checkpoints.restore


def _fail_once(*_: object) -> NoReturn:
    Checkpoints.restore = _restore  # type: ignore[method-assign]
    raise WorkdirError("read error of this host")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--coordinator")
    parser.add_argument("--num-processes", type=int)
    parser.add_argument("--process-id", type=int)
    arguments = parser.parse_args()
    text = json.dumps(restore_all(**vars(arguments)))
    Path(f"{arguments.folder}-{arguments.process_id}.json").write_text(text, "utf-8")
