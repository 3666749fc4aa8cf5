"""What a fetch that failed is to who reads: an error whose errno read(2) has a word for."""

from __future__ import annotations

import logging

from boxfs.base.errors import (
    BadReply,
    Changed,
    Denied,
    FsError,
    NotFound,
    NotReady,
    RateLimited,
    RemoteError,
    Unreachable,
)
from boxfs.base.types import VersionId

log = logging.getLogger(__name__)


def for_reader(error: Exception, version_id: VersionId) -> FsError:
    """Call it where the error is handled: of a defect the log gets the traceback."""
    match error:
        case NotFound():
            return Changed(f"version {version_id} is no longer at Box; open the file again")
        case RateLimited():  # read(2) knows no "try again" on a file
            return Unreachable(str(error))
        case NotReady():  # of this version only: it says nothing of the way to Box
            return BadReply(str(error))
        case Changed() | Denied() | RemoteError():
            return error
        case FsError():  # read(2) would make something else of its errno
            return BadReply(str(error))
        case _:
            log.exception("a download failed in a way nobody foresaw")
            return BadReply(f"the download failed: {type(error).__name__}")
