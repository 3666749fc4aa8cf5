"""MemoryRemote: the core's `Remote` over a MemoryBox, with a log of calls, faults and a network that can be cut.

remote = MemoryRemote()
remote.box.create(Kind.FILE, ROOT_FOLDER, "theirs.txt", b"...")      # what somebody else does
remote.fail("upload_file", InDoubt("lost"), after=True)              # done at Box, the reply is lost
remote.offline = True
remote.calls                                                         # [("upload_file", ("0", "a.txt")), ...]
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from boxfs.base.errors import BadReply, FsError, NotFound, Unreachable
from boxfs.base.types import (
    Account,
    Etag,
    Event,
    EventPage,
    Item,
    ItemId,
    Kind,
    Part,
    UploadSession,
    Version,
    VersionId,
)
from boxfs.core.remote import Body, Download
from tests.support.memorybox import Held, Key, MemoryBox, Told

WRITES = frozenset(
    {
        "create_folder", "upload_file", "upload_version", "update", "delete", "copy_file", "restore",
        "create_session", "create_version_session", "upload_part", "commit_session", "abort_session",
        "set_properties", "set_lock",
    }
)  # fmt: skip


@dataclass
class Fault:
    """The next `times` calls of `method` raise `error`, before or `after` they have had their effect."""

    method: str
    error: FsError
    after: bool = False
    times: int = 1
    skip: int = 0


@dataclass
class OpenSession:
    session: UploadSession
    file: Key | None
    parent: ItemId | None
    name: str | None
    size: int
    parts: dict[int, tuple[Part, bytes]] = field(default_factory=dict)


class MemoryDownload:
    def __init__(self, remote: MemoryRemote, file_id: ItemId, version_id: VersionId | None) -> None:
        self._remote, self._file, self._version = remote, file_id, version_id

    def read_into(self, buffer: memoryview, start: int, *, background: bool = False) -> Iterator[int]:
        stop = start + len(buffer)
        with self._remote._call("download", self._file, self._version, start, stop) as box:
            held = box.find(Kind.FILE, self._file)
            for version, data in reversed(held.versions):
                if self._version is None or version.id == self._version:
                    found = data[start:stop]
                    break
            else:
                raise NotFound("no such version")
        buffer[: len(found)] = found
        yield len(found)


def in_order(box: MemoryBox, entries: list[Told]) -> tuple[Event, ...]:
    return tuple(box.event(told) for told in entries)


class MemoryRemote:
    """See Remote.  on_call: is told of each call before it is made (tests assert there that no lock is held)."""

    def __init__(self, box: MemoryBox | None = None, *, part_size: int = 1000) -> None:
        self.box = box if box is not None else MemoryBox()
        self.calls: list[tuple[str, tuple[object, ...]]] = []
        self.faults: list[Fault] = []
        self.offline = False
        self.on_call: Callable[[str], None] = lambda method: None
        self.during: dict[str, Callable[[], object]] = {}
        self.part_size = part_size
        self.sessions: dict[str, OpenSession] = {}
        self.page_size = 100
        self.tell: Callable[[MemoryBox, list[Told]], tuple[Event, ...]] = in_order
        self.closed = False
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)

    # For tests
    def fail(self, method: str, error: FsError, *, after: bool = False, times: int = 1, skip: int = 0) -> None:
        """method: a name, or "write" for any call that changes Box, or "*"."""
        self.faults.append(Fault(method, error, after, times, skip))

    def counts(self) -> Counter[str]:
        return Counter(method for method, _ in self.calls)

    def written(self) -> list[str]:
        """Names of the calls that change Box, in order."""
        return [method for method, _ in self.calls if method in WRITES]

    @contextmanager
    def someone(self) -> Iterator[MemoryBox]:
        """Change Box as somebody else, and wake who listens."""
        with self._news:
            yield self.box
            self._news.notify_all()

    @contextmanager
    def _call(self, method: str, *args: object) -> Iterator[MemoryBox]:
        self.on_call(method)
        with self._lock:
            self.calls.append((method, args))
            if self.closed or self.offline:
                raise Unreachable("the network is down")
            fault = self._fault(method)
        if fault is not None and not fault.after:
            raise fault.error
        hook = self.during.pop(method, None)
        if hook is not None:
            hook()
        with self._news:
            yield self.box
            if method in WRITES:
                self._news.notify_all()
        if fault is not None:
            raise fault.error

    def _fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method in (method, "*") or (fault.method == "write" and method in WRITES):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    # Reading
    def account(self) -> Account:
        with self._call("account"):
            return Account("7", "Ada", "ada@example.com", 10**10, 10**6, 10**9)

    def item(self, kind: Kind, item_id: ItemId) -> Item:
        with self._call("item", kind, item_id) as box:
            return box.item(box.find(kind, item_id))

    def list_folder(self, folder_id: ItemId, *, background: bool = False) -> list[Item]:
        with self._call("list_folder", folder_id) as box:
            return [box.item(held) for held in box.children(box.find(Kind.FOLDER, folder_id).id)]

    def download(self, file_id: ItemId, version_id: VersionId | None) -> Download:
        return MemoryDownload(self, file_id, version_id)

    def versions(self, file_id: ItemId) -> list[Version]:
        with self._call("versions", file_id) as box:
            return [version for version, _ in reversed(box.find(Kind.FILE, file_id).versions[:-1])]

    def folder_path(self, folder_id: ItemId) -> list[ItemId]:
        with self._call("folder_path", folder_id) as box:
            held = box.find(Kind.FOLDER, folder_id)
            path = [held.id]
            while held.parent is not None:
                held = box.items[(Kind.FOLDER, held.parent)]
                path.insert(0, held.id)
            return path

    # Writing
    def create_folder(self, parent_id: ItemId, name: str) -> Item:
        with self._call("create_folder", parent_id, name) as box:
            return box.item(box.create(Kind.FOLDER, parent_id, name))

    def upload_file(self, parent_id: ItemId, name: str, body: Body, *, sha1: str, mtime_ns: int | None) -> Item:
        data = self._read(body)
        with self._call("upload_file", parent_id, name) as box:
            self._digest(data, sha1)
            return box.item(box.create(Kind.FILE, parent_id, name, data, mtime_ns or 0))

    def upload_version(
        self,
        file_id: ItemId,
        body: Body,
        *,
        sha1: str,
        etag: Etag | None,
        name: str | None = None,
        mtime_ns: int | None,
    ) -> Item:
        data = self._read(body)
        with self._call("upload_version", file_id, name) as box:
            self._digest(data, sha1)
            held = box.find(Kind.FILE, file_id)
            return box.item(box.overwrite(held, data, etag=etag, name=name, mtime_ns=mtime_ns or 0))

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
        with self._call("update", item_id, name, parent_id, mtime_ns) as box:
            held = box.find(kind, item_id)
            held.description = held.description if description is None else description
            held.tags = held.tags if tags is None else tuple(tags)
            return box.item(box.change(held, name=name, parent_id=parent_id, mtime_ns=mtime_ns, etag=etag))

    def delete(self, kind: Kind, item_id: ItemId, *, etag: Etag | None = None, recursive: bool = False) -> None:
        with self._call("delete", kind, item_id) as box:
            box.delete(box.find(kind, item_id), etag=etag, recursive=recursive)

    def copy_file(self, file_id: ItemId, parent_id: ItemId, name: str, *, version_id: VersionId | None = None) -> Item:
        with self._call("copy_file", file_id, parent_id, name) as box:
            held = box.find(Kind.FILE, file_id)
            data = next(d for v, d in reversed(held.versions) if version_id in (None, v.id))
            return box.item(box.create(Kind.FILE, parent_id, name, data, held.mtime_ns))

    def restore(self, kind: Kind, item_id: ItemId, *, name: str | None = None, parent_id: ItemId | None = None) -> Item:
        with self._call("restore", kind, item_id) as box:
            held = box.items.get((kind, item_id))
            if held is None:
                raise NotFound("purged")
            return box.item(box.restore(held, name, parent_id))

    # Chunked uploads
    def create_session(self, *, parent_id: ItemId, name: str, size: int) -> UploadSession:
        with self._call("create_session", parent_id, name, size) as box:
            box._check(parent_id, name)
            return self._session(None, parent_id, name, size)

    def create_version_session(self, file_id: ItemId, *, size: int, name: str | None = None) -> UploadSession:
        with self._call("create_version_session", file_id, size) as box:
            return self._session(box.find(Kind.FILE, file_id).key, None, name, size)

    def _session(self, file: Key | None, parent: ItemId | None, name: str | None, size: int) -> UploadSession:
        number = f"S{len(self.sessions) + 1}"
        total = -(-size // self.part_size)
        u = f"mem:{number}"
        session = UploadSession(number, self.part_size, total, u, f"{u}/commit", u, f"{u}/parts", u)
        self.sessions[number] = OpenSession(session, file, parent, name, size)
        return session

    def _open(self, session: UploadSession) -> OpenSession:
        if session.id not in self.sessions:
            raise NotFound("session_expired")
        return self.sessions[session.id]

    def upload_part(self, session: UploadSession, body: Body, *, offset: int, sha1: str, total_size: int) -> Part:
        data = self._read(body)
        with self._call("upload_part", session.id, offset):
            held = self._open(session)
            self._digest(data, sha1)
            assert offset % self.part_size == 0
            assert total_size == held.size
            assert len(data) == min(self.part_size, held.size - offset)
            if offset not in held.parts:
                part = Part(f"{len(held.parts):08X}", offset, len(data), sha1)
                held.parts[offset] = (part, data)
            return held.parts[offset][0]

    def list_parts(self, session: UploadSession) -> list[Part]:
        with self._call("list_parts", session.id):
            return [part for _, (part, _) in sorted(self._open(session).parts.items())]

    def commit_session(
        self,
        session: UploadSession,
        parts: Sequence[Part],
        *,
        sha1: str,
        mtime_ns: int | None,
        etag: Etag | None = None,
    ) -> Item:
        with self._call("commit_session", session.id) as box:
            held = self._open(session)
            if [p.offset for p in parts] != sorted(held.parts) or sum(p.size for p in parts) != held.size:
                raise BadReply("parts_mismatch")
            data = b"".join(data for _, (_, data) in sorted(held.parts.items()))
            self._digest(data, sha1)
            if held.file is not None:
                file: Held = box.find(*held.file)
                box.overwrite(file, data, etag=etag, name=held.name, mtime_ns=mtime_ns or 0)
            else:
                assert held.parent is not None
                assert held.name is not None
                file = box.create(Kind.FILE, held.parent, held.name, data, mtime_ns or 0)
            del self.sessions[session.id]
            return box.item(file)

    def abort_session(self, session: UploadSession) -> None:
        with self._call("abort_session", session.id):
            self.sessions.pop(session.id, None)

    def set_properties(
        self,
        kind: Kind,
        item_id: ItemId,
        changes: Mapping[str, str | None],
        *,
        known: Mapping[str, str] | None,
    ) -> Mapping[str, str]:
        with self._call("set_properties", kind, item_id) as box:
            held = box.find(kind, item_id)
            box.set_properties(held, changes)
            return dict(held.properties)

    def set_lock(self, file_id: ItemId, *, expires_ns: int | None) -> Mapping[str, Any] | None:
        with self._call("set_lock", file_id) as box:
            box.find(Kind.FILE, file_id)
            return {"expires_ns": expires_ns} if expires_ns is not None else None

    # Events
    def events_now(self) -> int:
        with self._call("events_now") as box:
            return box.position

    def events(self, position: int) -> EventPage:
        with self._call("events", position) as box:
            entries = [told for told in box.stream if told.position > position][: self.page_size]
            after = entries[-1].position if entries else position
            return EventPage(after, self.tell(box, entries))

    def wait_for_events(self, position: int, *, stop: Callable[[], bool], wake: threading.Event | None = None) -> bool:
        with self._call("wait_for_events", position):
            pass
        with self._news:
            while not stop() and not self.offline and not self.closed:
                if self.box.position > position:
                    return True
                self._news.wait(0.05)
            if self.offline or self.closed:
                raise Unreachable("the network is down")
            return False

    def close(self) -> None:
        self.closed = True

    # Inside
    def _read(self, body: Body) -> bytes:
        with body.open() as stream:
            data = stream.read()
        assert len(data) == body.size, "a body gives as many bytes as it says"
        return data

    def _digest(self, data: bytes, sha1: str) -> None:
        if hashlib.sha1(data).hexdigest() != sha1:
            raise BadReply("bad_digest")
