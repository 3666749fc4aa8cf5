"""What lasts: folders whose names do, which fsync(2) of a file does not promise; and what it is when a disk refuses."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from boxfs.base.errors import FsError, NoSpace


def disk_error(error: OSError, what: Path) -> FsError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"the disk that holds {what} is full")
    return FsError(f"{what} cannot be used: {error.strerror}")


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it, where they are missing; their names survive a power cut.  Raises OSError."""
    made = []
    above = folder
    while not above.is_dir():
        made.append(above)
        above = above.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in made:
        sync_names(one.parent)


def sync_names(folder: Path) -> None:
    """Make the names in the folder survive a power cut.  Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
