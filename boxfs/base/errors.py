"""The errors of boxfs, each with the errno that a program in the mount sees.

    FsError
    ├── NotFound, NameTaken, NotADirectory, IsADirectory, NotEmpty, InvalidName, NameTooLong, InvalidArgument
    ├── Denied, Locked, ReadOnly, NotSupported, NotPermitted, CrossDevice, NoAttribute
    ├── BadHandle, Changed, TooBig, NoSpace, QuotaExceeded
    └── RemoteError              Box or the way to it
        ├── Unreachable          no answer, or an answer that says "later"; the question may be asked again
        │   ├── InDoubt          no answer to a write that may have been done: look before asking again
        │   └── Busy             Box works on this very item, or holds its name back: later, and no word on other items
        ├── RateLimited          Box says to slow down; `retry_after_s` tells how long
        ├── Unauthorized         the token is refused and cannot be renewed: somebody must log in
        │   └── OtherAccount     the token is of another account than what is kept here
        ├── NotReady             Box has the item but not its bytes yet (202)
        └── BadReply             Box answered something that the API description does not allow

The boundary to FUSE reads `.errno` only. An exception outside this family is a defect: EIO, logged once.
Messages are one line, say what to do where something can be done, and never hold a secret.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxfs.base.types import Item


class FsError(Exception):
    """Something a caller of the file system must hear of.  `errno`: what the system call returns.

    Where Box said it: status, code: of its reply; request_id: what Box's support wants to know; context: its
    `context_info`.
    """

    errno: int = _errno.EIO
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    context: Mapping[str, Any] | None = None


class NotFound(FsError):  # 404 not_found, trashed
    errno = _errno.ENOENT


class NameTaken(FsError):  # 409 item_name_in_use
    """The name is held by another item of the folder.

    holder: the item that holds it, as far as Box told (it may be a mini of another kind), else None.
    """

    errno = _errno.EEXIST

    def __init__(self, message: str, holder: Item | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class NotADirectory(FsError):
    errno = _errno.ENOTDIR


class IsADirectory(FsError):
    errno = _errno.EISDIR


class NotEmpty(FsError):  # 400 folder_not_empty
    errno = _errno.ENOTEMPTY


class InvalidName(FsError):  # 400 item_name_invalid
    errno = _errno.EINVAL


class NameTooLong(FsError):  # 400 item_name_too_long
    errno = _errno.ENAMETOOLONG


class InvalidArgument(FsError):
    errno = _errno.EINVAL


class Denied(FsError):  # 403 access_denied_insufficient_permissions, insufficient_scope, forbidden
    errno = _errno.EACCES


class Locked(Denied):  # 403 access_denied_item_locked
    errno = _errno.EACCES


class ReadOnly(FsError):
    errno = _errno.EROFS


class NotSupported(FsError):
    errno = _errno.EOPNOTSUPP


class NotPermitted(FsError):
    errno = _errno.EPERM


class CrossDevice(FsError):
    errno = _errno.EXDEV


class NoAttribute(FsError):
    errno = _errno.ENODATA


class BadHandle(FsError):
    errno = _errno.EBADF


class Changed(FsError):  # 412 precondition_failed
    errno = _errno.ESTALE


class TooBig(FsError):  # 403 file_size_limit_exceeded, 413
    errno = _errno.EFBIG


class NoSpace(FsError):  # the local disk
    errno = _errno.ENOSPC


class QuotaExceeded(FsError):  # 403 storage_limit_exceeded
    errno = _errno.EDQUOT


class RemoteError(FsError):
    """Box, or the way to it, failed.  retry_after_s: how long Box asked to wait, where it did."""

    errno = _errno.EIO
    retry_after_s: float | None = None

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class Unreachable(RemoteError):
    errno = _errno.EIO


class InDoubt(Unreachable):
    """A write got no answer that says whether it was done (lost reply, 503, time-out)."""


class Busy(Unreachable):  # 409 operation_blocked_temporary, name_temporarily_reserved, session_conflict
    """Box cannot do it just now, for reasons of this item alone."""

    errno = _errno.EBUSY


class RateLimited(RemoteError):
    errno = _errno.EAGAIN

    def __init__(self, message: str, retry_after_s: float, request_id: str | None = None) -> None:
        super().__init__(message, request_id)
        self.retry_after_s = retry_after_s


class Unauthorized(RemoteError):
    errno = _errno.EACCES


class OtherAccount(Unauthorized):
    errno = _errno.EACCES


class NotReady(RemoteError):
    errno = _errno.EAGAIN


class BadReply(RemoteError):
    errno = _errno.EIO
