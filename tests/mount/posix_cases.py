"""What a program may expect of a file system: a table name -> check that needs an empty folder and nothing else.

`tests/mount/test_posix_local.py` proves the cases themselves on the machine's own disk, `test_fuse_posix.py` the FUSE
layer over memory; whoever has another mount runs `run_case` there.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.mount.cases import attributes, content, creating, folders, mapping, removing, renaming
from tests.mount.cases.register import CASES, Case

__all__ = ["CASES", "Case", "names", "run_case"]
_LOADED = (attributes, content, creating, folders, mapping, removing, renaming)


def names(*, without: frozenset[str] = frozenset()) -> list[str]:
    """The cases that this file system can be asked, `without` naming what it lacks (Case.needs)."""
    if os.geteuid() != 0:
        without |= {"root"}
    return [name for name, case in CASES.items() if not case.needs & without]


def run_case(name: str, where: Path) -> None:
    """Run the case in a folder of its own below `where`."""
    folder = where / name
    folder.mkdir()
    CASES[name].check(folder)
