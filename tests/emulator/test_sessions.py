"""Chunked uploads (box-api.md section 12)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.support.box import OTHER_TOKEN, Box

PART = 65536


@pytest.fixture
def content(box: Box) -> bytes:
    box.settings(part_size=PART, min_session_size=100_000)
    return bytes(range(256)) * 700  # 179,200 bytes: three parts, the last one short


def digest(content: bytes) -> str:
    return "sha=" + base64.b64encode(hashlib.sha1(content).digest()).decode()


def create(box: Box, content: bytes, name: str = "big.bin") -> dict[str, Any]:
    body = {"folder_id": "0", "file_name": name, "file_size": len(content)}
    return dict(box.call("POST", "/api/2.0/files/upload_sessions", json=body))


def put(box: Box, session: dict[str, Any], content: bytes, offset: int, **headers: str) -> Any:
    piece = content[offset : offset + PART]
    given = {
        "Content-Type": "application/octet-stream",
        "Digest": digest(piece),
        "Content-Range": f"bytes {offset}-{offset + len(piece) - 1}/{len(content)}",
    }
    return box.ask("PUT", session["session_endpoints"]["upload_part"], data=piece, headers=given | headers)


def put_all(box: Box, session: dict[str, Any], content: bytes) -> list[dict[str, Any]]:
    """The parts, last one first: any order will do."""
    offsets = range(0, len(content), PART)
    return [put(box, session, content, offset).json()["part"] for offset in reversed(offsets)][::-1]


def commit(box: Box, session: dict[str, Any], parts: list[dict[str, Any]], content: bytes, **options: Any) -> Any:
    body: dict[str, Any] = {"parts": parts, "attributes": {"content_modified_at": "2026-03-02T08:59:58-08:00"}}
    headers = {"Digest": digest(content)} | options.pop("headers", {})
    return box.ask("POST", session["session_endpoints"]["commit"], json=body | options, headers=headers)


def test_parts_in_any_order_make_a_file(box: Box, content: bytes) -> None:
    session = create(box, content)
    assert session["part_size"] == PART
    assert session["total_parts"] == 3
    assert session["session_expires_at"].endswith("Z")
    parts = put_all(box, session, content)
    assert box.call("GET", session["session_endpoints"]["status"])["num_parts_processed"] == 3
    assert box.call("GET", session["session_endpoints"]["list_parts"])["entries"] == parts
    reply = commit(box, session, parts, content)
    assert reply.status_code == 201
    (file,) = reply.json()["entries"]
    assert file["sha1"] == hashlib.sha1(content).hexdigest()
    assert file["content_modified_at"] == "2026-03-02T08:59:58-08:00"
    assert box.read("/big.bin") == content


def test_a_session_makes_a_new_version(box: Box, content: bytes) -> None:
    file = box.upload("/f", b"old")
    session = box.call("POST", f"/api/2.0/files/{file['id']}/upload_sessions", json={"file_size": len(content)})
    parts = put_all(box, session, content)
    stale = commit(box, session, parts, content, headers={"If-Match": "7"})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    (made,) = commit(box, session, parts, content, headers={"If-Match": file["etag"]}).json()["entries"]
    assert (made["id"], made["name"], made["etag"]) == (file["id"], "f", "1")
    assert box.read("/f") == content


def test_trap_14_the_digest_of_a_part_is_checked(box: Box, content: bytes) -> None:
    session = create(box, content)
    assert put(box, session, content, 0, Digest=digest(b"other")).status_code == 412
    assert put(box, session, content, 0, Digest=digest(content[:PART]).replace("sha", "SHA")).status_code == 200


def test_trap_17_the_server_dictates_parts_and_they_are_never_rewritten(box: Box, content: bytes) -> None:
    session = create(box, content)
    assert put(box, session, content, 0).status_code == 200
    again = put(box, session, content, 0)
    assert (again.status_code, again.json()["code"]) == (409, "range_overlaps_existing_part")
    assert put(box, session, content, 1000).status_code == 416
    short = {"Content-Range": f"bytes {PART}-{PART + 99}/{len(content)}", "Digest": digest(b"x" * 100)}
    url = session["session_endpoints"]["upload_part"]
    assert box.ask("PUT", url, data=b"x" * 100, headers=short).status_code == 416


def test_trap_17_small_files_are_refused(box: Box) -> None:
    body = {"folder_id": "0", "file_name": "x", "file_size": 19_999_999}
    reply = box.ask("POST", "/api/2.0/files/upload_sessions", json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "file_size_too_small")
    body["file_size"] = 20_000_000
    assert box.call("POST", "/api/2.0/files/upload_sessions", json=body)["part_size"] == 8 << 20


def test_trap_18_a_commit_says_not_yet_before_it_succeeds(box: Box, content: bytes) -> None:
    box.settings(commit_202=2, commit_parts_mismatch=1)
    session = create(box, content)
    parts = put_all(box, session, content)
    replies = [commit(box, session, parts, content) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [202, 202, 400, 201]
    assert replies[0].headers["Retry-After"] == "1"
    assert replies[0].content == b""
    assert replies[2].json()["code"] == "parts_mismatch"


def test_trap_18_the_name_may_have_been_taken_meanwhile(box: Box, content: bytes) -> None:
    session = create(box, content)
    parts = put_all(box, session, content)
    box.upload("/BIG.bin", b"me first")
    reply = commit(box, session, parts, content)
    assert (reply.status_code, reply.json()["code"]) == (409, "item_name_in_use")
    box.rename("/BIG.bin", "other")
    assert commit(box, session, parts, content).status_code == 201


def test_trap_18_abort_answers_204_also_after_a_commit(box: Box, content: bytes) -> None:
    session = create(box, content)
    parts = put_all(box, session, content)
    assert commit(box, session, parts, content).status_code == 201
    assert box.ask("DELETE", session["session_endpoints"]["abort"]).status_code == 204
    assert box.ask("GET", session["session_endpoints"]["status"]).status_code == 404
    assert box.read("/big.bin") == content


def test_missing_parts_and_a_wrong_digest_are_refused(box: Box, content: bytes) -> None:
    session = create(box, content)
    part = put(box, session, content, 0).json()["part"]
    assert commit(box, session, [part], content).json()["code"] == "parts_mismatch"
    rest = [put(box, session, content, offset).json()["part"] for offset in (PART, 2 * PART)]
    assert commit(box, session, [part, *rest], b"other").json()["code"] == "bad_digest"
    assert commit(box, session, [part, *rest], content).status_code == 201


def test_creation_names_what_is_wrong(box: Box, content: bytes) -> None:
    box.upload("/taken", b"")
    good: dict[str, Any] = {"folder_id": "0", "file_name": "x", "file_size": len(content)}

    def code(**changes: Any) -> tuple[int, str]:
        body = {k: v for k, v in (good | changes).items() if v is not None}
        reply = box.ask("POST", "/api/2.0/files/upload_sessions", data=json.dumps(body))
        return reply.status_code, reply.json()["code"]

    assert code(folder_id=None) == (400, "missing_destination")
    assert code(folder_id="x") == (400, "invalid_folder_id")
    assert code(file_size=None) == (400, "missing_file_size")
    assert code(file_size=-1) == (400, "invalid_file_size")
    assert code(file_name=None) == (400, "missing_file_name")
    assert code(file_name="a/b") == (400, "item_name_invalid")
    assert code(file_name="Taken") == (409, "item_name_in_use")
    assert code(folder_id="77") == (404, "not_found")
    assert code(file_size=1 << 60) == (403, "file_size_limit_exceeded")


def test_an_expired_session_is_gone_and_another_users_is_forbidden(box: Box, content: bytes) -> None:
    session = create(box, content)
    bob = box.as_user(OTHER_TOKEN)
    assert bob.ask("GET", session["session_endpoints"]["status"]).status_code == 403
    bob.close()
    box.settings(session_life_s=0)
    old = create(box, content, "old")
    assert box.ask("GET", old["session_endpoints"]["status"]).json()["code"] == "session_expired"
