"""The endpoints of files, folders and web links, each once: JSON in, JSON out.  BoxDrive and BoxClient stand on these.

Every function makes one call.  Sources: box-api.md sections 8, 9, 11, 13, 14, 17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxfs.api import wire
from boxfs.api.http import Body, Priority
from boxfs.api.multipart import Multipart
from boxfs.api.session import Session
from boxfs.api.wire import Json
from boxfs.base.errors import BadReply
from boxfs.base.types import Kind


def path(kind: Kind | str, item_id: str) -> str:
    return f"/{kind}s/{item_id}"


def get(
    session: Session,
    kind: Kind | str,
    item_id: str,
    *,
    fields: str | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> Json:
    return session.json("GET", path(kind, item_id), params={"fields": fields}, headers=headers)


def create_folder(session: Session, parent_id: str, name: str, *, fields: str | None = None) -> Json:
    body = {"name": name, "parent": {"id": parent_id}}
    return session.json("POST", "/folders", params={"fields": fields}, json=body)


def update(
    session: Session,
    kind: Kind | str,
    item_id: str,
    changes: Mapping[str, Any],
    *,
    etag: str | None = None,
    fields: str | None = None,
) -> Json:
    return session.json(
        "PUT", path(kind, item_id), params={"fields": fields}, json=dict(changes), headers={"If-Match": etag}
    )


def delete(
    session: Session, kind: Kind | str, item_id: str, *, etag: str | None = None, recursive: bool = False
) -> None:
    params = {"recursive": recursive} if kind == Kind.FOLDER else {}
    session.request("DELETE", path(kind, item_id), params=params, headers={"If-Match": etag}).close()


def copy(
    session: Session,
    kind: Kind | str,
    item_id: str,
    parent_id: str,
    *,
    name: str | None = None,
    version_id: str | None = None,
    fields: str | None = None,
) -> Json:
    body: dict[str, Any] = {"parent": {"id": parent_id}}
    if name is not None:
        body["name"] = name
    if version_id is not None:
        body["version"] = version_id
    return session.json("POST", f"{path(kind, item_id)}/copy", params={"fields": fields}, json=body)


def restore(
    session: Session,
    kind: Kind | str,
    item_id: str,
    *,
    name: str | None = None,
    parent_id: str | None = None,
    fields: str | None = None,
) -> Json:
    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = name
    if parent_id is not None:
        body["parent"] = {"id": parent_id}
    return session.json("POST", path(kind, item_id), params={"fields": fields}, json=body)


def upload(
    session: Session,
    attributes: Mapping[str, Any],
    content: Body,
    *,
    file_id: str | None = None,
    sha1: str | None = None,
    etag: str | None = None,
    fields: str | None = None,
    priority: Priority = Priority.FOREGROUND,
) -> Json:
    """Upload a new file, or with `file_id` a new version; return the file.

    sha1: hex, sent along so that Box refuses what arrives broken, and compared with what Box says it stored.
    Raises BadReply where Box stored something else.
    """
    body = Multipart(attributes, content)
    reply = session.json(
        "POST",
        f"/files/{file_id}/content" if file_id is not None else "/files/content",
        upload=True,
        body=body,
        params={"fields": fields},
        headers={"Content-Type": body.content_type, "Content-MD5": sha1, "If-Match": etag},
        priority=priority,
    )
    file = wire.first_entry(reply, "an upload")
    check_sha1(file, sha1)
    return file


def check_sha1(file: Json, sha1: str | None) -> None:
    stored = wire.text(file.get("sha1"))
    if sha1 is not None and stored is not None and stored.lower() != sha1.lower():
        raise BadReply("Box stored other bytes than were sent: the sha1 differs")


def versions(session: Session, file_id: str, *, offset: int, limit: int = 1000, fields: str | None = None) -> Json:
    params = {"offset": offset, "limit": limit, "fields": fields}
    return session.json("GET", f"/files/{file_id}/versions", params=params)


def get_metadata(session: Session, kind: Kind | str, item_id: str, scope: str, template: str) -> Json:
    return session.json("GET", f"{path(kind, item_id)}/metadata/{scope}/{template}")


def create_metadata(
    session: Session, kind: Kind | str, item_id: str, scope: str, template: str, values: Mapping[str, Any]
) -> Json:
    # A repetition meets 409 tuple_already_exists, which changes nothing.
    return session.json(
        "POST", f"{path(kind, item_id)}/metadata/{scope}/{template}", json=dict(values), repeatable=True
    )


def patch_metadata(
    session: Session,
    kind: Kind | str,
    item_id: str,
    scope: str,
    template: str,
    operations: list[dict[str, Any]],
    *,
    repeatable: bool = False,
) -> Json:
    return session.json(
        "PUT",
        f"{path(kind, item_id)}/metadata/{scope}/{template}",
        json=operations,
        headers={"Content-Type": "application/json-patch+json"},
        repeatable=repeatable,
    )


def delete_metadata(session: Session, kind: Kind | str, item_id: str, scope: str, template: str) -> None:
    session.request("DELETE", f"{path(kind, item_id)}/metadata/{scope}/{template}").close()
