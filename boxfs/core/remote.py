"""Remote: the few things that the core asks of Box.

The core never imports `boxfs.api`; the command line hands it an object of this shape (`boxfs.api.drive.BoxDrive`).
Contract of every method: typed results; errors only of `boxfs.base.errors`; requests that may safely be repeated are
repeated inside (back-off, Retry-After, one renewal of the token); a write whose outcome is unknown is *not* repeated
but raises `InDoubt`, and the caller looks at Box before it asks again.  No method is called with a lock of the core
held.  `background=True` lets people's requests go first.  After `close`, calls raise `Unreachable`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from boxfs.base.types import (
    Account,
    Etag,
    EventPage,
    Item,
    ItemId,
    Kind,
    Part,
    UploadSession,
    Version,
    VersionId,
)


class Body(Protocol):
    """Bytes to be sent, readable several times: each `open` starts at `offset` anew."""

    @property
    def size(self) -> int: ...

    def open(self) -> BinaryIO:
        """Return a binary stream over all `size` bytes, at its beginning."""


class Download(Protocol):
    """One version's bytes, read by range over one download URL while that lives (box-api.md section 10)."""

    def read_into(self, buffer: memoryview, start: int, *, background: bool = False) -> Iterator[int]:
        """Fill `buffer` with the bytes from `start` on, in order, whole or not at all; yield how many, step by step.

        background: people's requests go first.
        Raises Unreachable, NotFound (the version is gone), Denied, NotReady after the patience of the transport.
        A body that ends early is fetched on from where it stopped; what cannot be completed raises.
        May be called by several threads at once, each over a connection of its own.
        """


class Remote(Protocol):
    # Reading
    def account(self) -> Account: ...

    def item(self, kind: Kind, item_id: ItemId) -> Item:
        """Return the item.  Raises NotFound where it is gone, in the trash, or not for this account."""

    def list_folder(self, folder_id: ItemId, *, background: bool = False) -> list[Item]:
        """Return all entries, each with the fields that `Item` needs.  Raises NotFound.

        First page of 1,000, the rest in parallel; advances by `limit`; no entry twice.
        """

    def download(self, file_id: ItemId, version_id: VersionId | None) -> Download:
        """Return a reader of that version (None: the current one).  Makes no call before the first read."""

    def versions(self, file_id: ItemId) -> list[Version]: ...

    def folder_path(self, folder_id: ItemId) -> list[ItemId]:
        """Ids from the root to the folder, itself included."""

    # Writing.  `etag` guards: `Changed` where Box has moved on.
    def create_folder(self, parent_id: ItemId, name: str) -> Item:
        """Raises NameTaken with the holder, InvalidName, NotFound (parent), Denied, InDoubt."""

    def upload_file(self, parent_id: ItemId, name: str, body: Body, *, sha1: str, mtime_ns: int | None) -> Item: ...

    def upload_version(
        self,
        file_id: ItemId,
        body: Body,
        *,
        sha1: str,
        etag: Etag | None,
        name: str | None = None,
        mtime_ns: int | None,
    ) -> Item: ...

    def update(
        self,
        kind: Kind,
        item_id: ItemId,
        *,
        name: str | None = None,
        parent_id: ItemId | None = None,
        mtime_ns: int | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        etag: Etag | None = None,
    ) -> Item:
        """Rename, move, set times, describe: what is None stays.  A move is not guarded by `etag` at Box."""

    def delete(self, kind: Kind, item_id: ItemId, *, etag: Etag | None = None, recursive: bool = False) -> None:
        """To the trash.  Raises NotEmpty for a folder with children unless `recursive`."""

    def copy_file(
        self, file_id: ItemId, parent_id: ItemId, name: str, *, version_id: VersionId | None = None
    ) -> Item: ...

    def restore(self, kind: Kind, item_id: ItemId, *, name: str | None = None, parent_id: ItemId | None = None) -> Item:
        """Take an item out of the trash."""

    # Chunked uploads (box-api.md section 12).
    def create_session(self, *, parent_id: ItemId, name: str, size: int) -> UploadSession: ...

    def create_version_session(self, file_id: ItemId, *, size: int, name: str | None = None) -> UploadSession: ...

    def upload_part(self, session: UploadSession, body: Body, *, offset: int, sha1: str, total_size: int) -> Part:
        """Send one part; a part that is there already (409) is looked up and returned."""

    def list_parts(self, session: UploadSession) -> list[Part]: ...

    def commit_session(
        self,
        session: UploadSession,
        parts: Sequence[Part],
        *,
        sha1: str,
        mtime_ns: int | None,
        etag: Etag | None = None,
    ) -> Item:
        """Repeats while Box answers 202.  Raises Changed, NameTaken, NotFound (session gone or expired), InDoubt."""

    def abort_session(self, session: UploadSession) -> None: ...

    # global.properties
    def set_properties(
        self,
        kind: Kind,
        item_id: ItemId,
        changes: Mapping[str, str | None],
        *,
        known: Mapping[str, str] | None,
    ) -> Mapping[str, str]:
        """Set (or, with None, remove) keys; returns the instance as it is now.  known: as far as we hold it."""

    def set_lock(self, file_id: ItemId, *, expires_ns: int | None) -> Mapping[str, Any] | None:
        """Lock the file until then; None unlocks."""

    # Events (box-api.md section 19)
    def events_now(self) -> int:
        """Return the position of "from now on"."""

    def events(self, position: int) -> EventPage:
        """Return the events after `position`; duplicates and old ones may be among them."""

    def wait_for_events(self, position: int, *, stop: Callable[[], bool], wake: threading.Event | None = None) -> bool:
        """Long-poll until Box has news (True) or says to reconnect (False).  Raises Unreachable.

        Returns False soon after `stop()` turned true: at once where `wake` is set then, else within a second or so.
        """

    def close(self) -> None: ...
