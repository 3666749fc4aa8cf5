"""Status: what a person may want to know of a mount's dealings with Box, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from boxfs.base.types import Ino


class State(StrEnum):
    DIRTY = "dirty"  # waits for the settle window, or for its turn
    UPLOADING = "uploading"  # a call for it is under way
    CONFLICT = "conflict"  # a conflict copy that is still to be sent
    ERROR = "error"  # refused or failed; `error` says why, `retry_ns` when it is tried again
    WAITING = "waiting"  # Box cannot be reached


@dataclass(frozen=True, slots=True)
class PendingItem:
    """path: below the mount's root; of what is deleted here: as it was called.  what: "new", "content", "place" …"""

    ino: Ino
    path: str
    what: tuple[str, ...]
    state: State
    size: int
    sent: int = 0
    error: str | None = None
    attempts: int = 0
    retry_ns: int = 0
    changed_ns: int = 0


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """pending is cut at a limit; pending_count and pending_bytes are of all."""

    online: bool
    why_offline: str | None
    next_try_ns: int
    pending: tuple[PendingItem, ...]
    pending_count: int
    pending_bytes: int
    errors: int
    last_event_ns: int | None
    heard_ns: int | None
    listening_error: str | None
    stale_folders: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a barrier: what is left, and what there was when it began."""

    left: int
    total: int
    left_bytes: int
    total_bytes: int
    failed: int
    why_waiting: str | None = None


@dataclass(frozen=True, slots=True)
class Barrier:
    """How a barrier ended.  done: nothing is pending below.  left: what still is, with its state."""

    done: bool
    left: tuple[PendingItem, ...] = ()
    why: str | None = None
