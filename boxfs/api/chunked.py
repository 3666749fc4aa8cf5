"""Chunked uploads: the calls of one session, at the URLs that Box gave for it (box-api.md section 12)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from boxfs.api import errors, wire
from boxfs.api.http import Body, Response
from boxfs.api.items import check_sha1
from boxfs.api.session import Session
from boxfs.api.wire import Json
from boxfs.base.errors import BadReply, FsError, InvalidArgument, NotReady
from boxfs.base.types import Etag, Part, UploadSession

# How long Box may take to put the parts together (202 on commit; 3, 10, 30 s were seen).
COMMIT_PATIENCE_S = 900.0


def create(session: Session, *, parent_id: str, name: str, size: int) -> UploadSession:
    body = {"folder_id": parent_id, "file_size": size, "file_name": name}
    return _create(session, "/files/upload_sessions", body)


def create_version(session: Session, file_id: str, *, size: int, name: str | None = None) -> UploadSession:
    body: dict[str, Any] = {"file_size": size}
    if name is not None:
        body["file_name"] = name
    return _create(session, f"/files/{file_id}/upload_sessions", body)


def _create(session: Session, path: str, body: Mapping[str, Any]) -> UploadSession:
    """Open a session.  One that is open for the same target (409 session_conflict) is given up for it.

    Such a one is what a process left that died before it noted its session; it would be in the way for seven days, and
    its parts, which nobody can overwrite, are of contents that we do not know.
    """
    try:
        return wire.upload_session(session.json("POST", path, upload=True, json=body))
    except FsError as error:
        other = wire.obj((error.context or {}).get("session"))
        if error.code != "session_conflict" or not other:
            raise
    abort(session, wire.upload_session(other))
    return wire.upload_session(session.json("POST", path, upload=True, json=body))


def upload_part(
    session: Session, upload: UploadSession, body: Body, *, offset: int, sha1: str, total_size: int
) -> Part:
    """Send one part and return it.  Repeatable: a part that is there already is refused (409), looked up and returned.

    sha1: hex, of this part.
    """
    headers = {
        "Content-Type": "application/octet-stream",
        "Digest": digest(sha1),
        "Content-Range": f"bytes {offset}-{offset + body.size - 1}/{total_size}",
    }
    try:
        reply = session.json(
            "PUT",
            upload.upload_url,
            upload=True,
            body=body,
            headers=headers,
            repeatable=True,
        )
    except FsError as error:
        if error.status != 409:
            raise
        for part in list_parts(session, upload):
            if part.offset == offset and part.size == body.size and part.sha1 in (sha1.lower(), None):
                return part
        raise
    part = wire.part(wire.obj(reply.get("part")) or reply)
    if part.offset != offset or part.size != body.size or part.sha1 not in (sha1.lower(), None):
        raise BadReply("Box stored another part than was sent")
    return part


def list_parts(session: Session, upload: UploadSession) -> list[Part]:
    found: dict[int, Part] = {}
    offset, total = 0, 1
    while offset < total:
        reply = session.json("GET", upload.list_parts_url, params={"offset": offset, "limit": 1000})
        found.update({part.offset: part for part in map(wire.part, wire.entries(reply))})
        total = wire.integer(reply.get("total_count")) or 0
        offset += wire.integer(reply.get("limit")) or 1000
    return [found[start] for start in sorted(found)]


def commit(
    session: Session,
    upload: UploadSession,
    parts: Sequence[Part],
    *,
    sha1: str,
    attributes: Mapping[str, Any],
    etag: Etag | None = None,
) -> Json:
    """Put the parts together and return the file.

    sha1: hex, of the whole file.  Waits while Box says 202, and a while for parts that it does not see yet.
    Raises Changed, NameTaken, NotFound (the session is gone), InvalidArgument (the parts do not make the file),
    InDoubt.
    """
    body: dict[str, Any] = {
        "parts": [
            {"part_id": part.part_id, "offset": part.offset, "size": part.size}
            | ({"sha1": part.sha1} if part.sha1 else {})
            for part in sorted(parts, key=lambda part: part.offset)
        ]
    }
    if attributes:
        body["attributes"] = dict(attributes)
    headers = {"Digest": digest(sha1), "If-Match": etag}
    waited_s, mismatches = 0.0, 0
    while waited_s <= COMMIT_PATIENCE_S:
        try:
            response = session.request("POST", upload.commit_url, upload=True, json=body, headers=headers)
        except InvalidArgument as error:
            # For a moment after the last part Box may not see it yet.
            mismatches += 1
            if error.code != "parts_mismatch" or mismatches > 5:
                raise
            delay_s = float(mismatches)
        else:
            if response.status != 202:
                return _committed(response, sha1)
            response.close()
            delay_s = errors.retry_after_s(response) or 1.0
        session.wait(delay_s)
        waited_s += delay_s
    raise NotReady("Box is still putting the parts of an upload together; it can be asked again")


def _committed(response: Response, sha1: str) -> Json:
    try:
        file = wire.first_entry(json.loads(response.read()), "a commit")
    except ValueError:
        raise BadReply("Box answered a commit without JSON") from None
    check_sha1(file, sha1)
    return file


def abort(session: Session, upload: UploadSession) -> None:
    """Give the session up.  Aborting twice does no harm."""
    session.request("DELETE", upload.abort_url, repeatable=True).close()


def digest(sha1: str) -> str:
    return f"sha={base64.b64encode(bytes.fromhex(sha1)).decode()}"
