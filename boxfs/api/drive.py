"""BoxDrive: the Remote of `boxfs.core.remote` over HTTP, a thin layer of types over the endpoint modules.

The contract of every method is written there.  No state but the session's: nothing is cached here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from boxfs.api import chunked, items, listing, longpoll, properties, wire
from boxfs.api.auth import Auth
from boxfs.api.download import UrlDownload
from boxfs.api.http import Body, Priority
from boxfs.api.session import Session
from boxfs.api.wire import ITEM_FIELDS, LIST_FIELDS, WHOLE_FIELDS
from boxfs.base.errors import NotFound
from boxfs.base.types import (
    ROOT_FOLDER,
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

# What alters the tree, locks and collaborations; "all" would add downloads, previews and comments.
STREAM = "changes"
EVENTS_LIMIT = 500


class BoxDrive:
    """Everything that the file system asks of Box.  Options as in `Session`."""

    def __init__(self, auth: Auth | None = None, *, session: Session | None = None, **options: Any) -> None:
        """Give `auth` and options of a Session, or a `session` that is there already (it is closed with the drive)."""
        if session is None:
            if auth is None:
                raise TypeError("BoxDrive needs auth or a session")
            session = Session(auth, **options)
        self.session = session

    # Reading

    def account(self) -> Account:
        return wire.account(self.session.json("GET", "/users/me"))

    def item(self, kind: Kind, item_id: ItemId) -> Item:
        found = wire.item(items.get(self.session, kind, item_id, fields=WHOLE_FIELDS), metadata_asked=True)
        if found.trashed:
            raise NotFound(f"{kind} {item_id} is in the trash")
        return found

    def list_folder(self, folder_id: ItemId, *, background: bool = False) -> list[Item]:
        priority = Priority.BACKGROUND if background else Priority.FOREGROUND
        path = f"/folders/{folder_id}/items"
        make = wire.listed(folder_id)
        found = listing.whole_folder(self.session, path, make, fields=LIST_FIELDS, priority=priority)
        return [item for item in found if item is not None]

    def download(self, file_id: ItemId, version_id: VersionId | None) -> UrlDownload:
        return UrlDownload(self.session, f"/files/{file_id}/content", version_id=version_id)

    def versions(self, file_id: ItemId) -> list[Version]:
        found: list[Version] = []
        offset, total = 0, 1
        while offset < total:
            reply = items.versions(self.session, file_id, offset=offset)
            found.extend(wire.version(each) for each in wire.entries(reply))
            total = wire.integer(reply.get("total_count")) or 0
            offset += wire.integer(reply.get("limit")) or 1000
        return found

    def folder_path(self, folder_id: ItemId) -> list[ItemId]:
        if folder_id == ROOT_FOLDER:
            return [ROOT_FOLDER]
        reply = items.get(self.session, Kind.FOLDER, folder_id, fields="path_collection")
        above = [wire.text(each.get("id")) for each in wire.entries(wire.obj(reply.get("path_collection")))]
        return [*(ItemId(each) for each in above if each is not None), folder_id]

    # Writing

    def create_folder(self, parent_id: ItemId, name: str) -> Item:
        return wire.item(items.create_folder(self.session, parent_id, name, fields=ITEM_FIELDS))

    def upload_file(self, parent_id: ItemId, name: str, body: Body, *, sha1: str, mtime_ns: int | None) -> Item:
        attributes = {"name": name, "parent": {"id": parent_id}, **_times(mtime_ns)}
        return wire.item(items.upload(self.session, attributes, body, sha1=sha1, fields=ITEM_FIELDS))

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
        attributes = {**({"name": name} if name is not None else {}), **_times(mtime_ns)}
        reply = items.upload(self.session, attributes, body, file_id=file_id, sha1=sha1, etag=etag, fields=ITEM_FIELDS)
        return wire.item(reply)

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
        changes: dict[str, Any] = _times(mtime_ns)
        if name is not None:
            changes["name"] = name
        if parent_id is not None:
            changes["parent"] = {"id": parent_id}
        if description is not None:
            changes["description"] = description
        if tags is not None:
            changes["tags"] = list(tags)
        return wire.item(items.update(self.session, kind, item_id, changes, etag=etag, fields=ITEM_FIELDS))

    def delete(self, kind: Kind, item_id: ItemId, *, etag: Etag | None = None, recursive: bool = False) -> None:
        items.delete(self.session, kind, item_id, etag=etag, recursive=recursive)

    def copy_file(self, file_id: ItemId, parent_id: ItemId, name: str, *, version_id: VersionId | None = None) -> Item:
        reply = items.copy(
            self.session, Kind.FILE, file_id, parent_id, name=name, version_id=version_id, fields=ITEM_FIELDS
        )
        return wire.item(reply)

    def restore(self, kind: Kind, item_id: ItemId, *, name: str | None = None, parent_id: ItemId | None = None) -> Item:
        reply = items.restore(self.session, kind, item_id, name=name, parent_id=parent_id, fields=ITEM_FIELDS)
        return wire.item(reply)

    # Chunked uploads

    def create_session(self, *, parent_id: ItemId, name: str, size: int) -> UploadSession:
        return chunked.create(self.session, parent_id=parent_id, name=name, size=size)

    def create_version_session(self, file_id: ItemId, *, size: int, name: str | None = None) -> UploadSession:
        return chunked.create_version(self.session, file_id, size=size, name=name)

    def upload_part(self, session: UploadSession, body: Body, *, offset: int, sha1: str, total_size: int) -> Part:
        return chunked.upload_part(self.session, session, body, offset=offset, sha1=sha1, total_size=total_size)

    def list_parts(self, session: UploadSession) -> list[Part]:
        return chunked.list_parts(self.session, session)

    def commit_session(
        self,
        session: UploadSession,
        parts: Sequence[Part],
        *,
        sha1: str,
        mtime_ns: int | None,
        etag: Etag | None = None,
    ) -> Item:
        reply = chunked.commit(self.session, session, parts, sha1=sha1, attributes=_times(mtime_ns), etag=etag)
        return wire.item(reply)

    def abort_session(self, session: UploadSession) -> None:
        chunked.abort(self.session, session)

    # global.properties and locks

    def set_properties(
        self,
        kind: Kind,
        item_id: ItemId,
        changes: Mapping[str, str | None],
        *,
        known: Mapping[str, str] | None,
    ) -> Mapping[str, str]:
        return properties.change(self.session, kind, item_id, changes, known)

    def set_lock(self, file_id: ItemId, *, expires_ns: int | None) -> Mapping[str, Any] | None:
        lock = (
            None if expires_ns is None else {"type": "lock", "access": "lock", "expires_at": wire.box_time(expires_ns)}
        )
        reply = items.update(self.session, Kind.FILE, file_id, {"lock": lock}, fields="lock")
        return wire.obj(reply.get("lock")) or None

    # Events

    def events_now(self) -> int:
        reply = self.session.json("GET", "/events", params={"stream_position": "now", "stream_type": STREAM})
        return wire.event_page(reply, 0).next_position

    def events(self, position: int) -> EventPage:
        params = {"stream_position": position, "stream_type": STREAM, "limit": EVENTS_LIMIT}
        return wire.event_page(self.session.json("GET", "/events", params=params), position)

    def wait_for_events(self, position: int, *, stop: Callable[[], bool], wake: threading.Event | None = None) -> bool:
        return longpoll.wait(self.session, position, stream_type=STREAM, stop=stop, wake=wake)

    def close(self) -> None:
        self.session.close()


def _times(mtime_ns: int | None) -> dict[str, Any]:
    return {} if mtime_ns is None else {"content_modified_at": wire.box_time(mtime_ns)}
