"""How a command ends: one clear line and a code for scripts (those of sysexits.h, and 2 for wrong usage).

mount.boxfs(8) turns them into mount(8)'s: 1 for usage, 32 for all else.
"""

from __future__ import annotations

from enum import IntEnum

from boxfs.base.errors import FsError, NoSpace, QuotaExceeded, Unauthorized, Unreachable


class Exit(IntEnum):
    OK = 0
    FAILED = 1  # the command ran; something of what it was to do is not done (uploads that stay pending, a busy mount)
    USAGE = 2  # an option or argument that does not exist or does not fit
    NO_INPUT = 66  # a mount point, folder or file that is not there or does not serve
    UNAVAILABLE = 69  # Box cannot be reached
    INTERNAL = 70  # a defect of boxfs
    NO_FUSE = 72  # FUSE is not installed or not allowed
    CANNOT_CREATE = 73  # the cache folder cannot be written
    BUSY = 75  # another mount uses the place or the cache folder
    NO_PERMISSION = 77  # Box refuses the token, or a file may not be touched
    CONFIG = 78  # the configuration file is wrong


class CliError(Exception):
    """Ends the command with one line on stderr and the code."""

    def __init__(self, message: str, code: int = Exit.FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = int(code)


def exit_code_of(error: FsError) -> Exit:
    """Return the code that an error of Box or of the local state ends a command with."""
    if isinstance(error, Unauthorized):
        return Exit.NO_PERMISSION
    if isinstance(error, Unreachable):
        return Exit.UNAVAILABLE
    if isinstance(error, NoSpace | QuotaExceeded):
        return Exit.CANNOT_CREATE
    return Exit.FAILED
