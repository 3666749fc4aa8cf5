from __future__ import annotations

from typing import Any

import pytest

from boxfs.api.errors import error_from
from boxfs.base import errors as fs
from tests.unit.api.scripted import reply

HOLDER = {"type": "file", "id": "77", "etag": "0", "sha1": "da39", "name": "notes.txt"}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "folder_not_empty", fs.NotEmpty),
        (400, "item_name_invalid", fs.InvalidName),
        (400, "item_name_too_long", fs.NameTooLong),
        (400, "bad_request", fs.InvalidArgument),
        (401, None, fs.Unauthorized),
        (403, "storage_limit_exceeded", fs.QuotaExceeded),
        (403, "file_size_limit_exceeded", fs.TooBig),
        (403, "access_denied_item_locked", fs.Locked),
        (403, "anything", fs.Denied),
        (404, "trashed", fs.NotFound),
        (404, None, fs.NotFound),
        (405, "method_not_allowed", fs.NotFound),
        (409, "item_name_in_use", fs.NameTaken),
        (409, "operation_blocked_temporary", fs.Busy),
        (409, "session_conflict", fs.Busy),
        (409, "recent_similar_comment", fs.InvalidArgument),
        (409, None, fs.NameTaken),
        (410, "session_expired", fs.NotFound),
        (412, "precondition_failed", fs.Changed),
        (413, None, fs.TooBig),
        (418, None, fs.BadReply),
        (503, "unavailable", fs.Unreachable),
    ],
)
def test_code_decides_before_status(status: int, code: str | None, expected: type[fs.FsError]) -> None:
    error = error_from(reply(status, {"type": "error", "code": code}), "GET /2.0/x")
    assert type(error) is expected
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize("conflicts", [HOLDER, [HOLDER]], ids=["object", "array"])
def test_the_holder_of_a_name_is_told_in_either_shape(conflicts: Any) -> None:
    body = {"type": "error", "code": "item_name_in_use", "context_info": {"conflicts": conflicts}}
    error = error_from(reply(409, body), "POST /2.0/folders")
    assert isinstance(error, fs.NameTaken)
    assert error.holder is not None
    assert (error.holder.id, error.holder.name) == ("77", "notes.txt")


@pytest.mark.parametrize("body", [{"code": "item_name_in_use"}, {"code": "item_name_in_use", "context_info": None}])
def test_a_conflict_without_details_has_no_holder(body: Any) -> None:
    error = error_from(reply(409, body), "PUT /2.0/files/7")
    assert isinstance(error, fs.NameTaken)
    assert error.holder is None


def test_messages_are_one_line_with_the_request_id() -> None:
    body = {"type": "error", "code": "bad_request", "message": "Bad\nRequest", "request_id": "abc123"}
    error = error_from(reply(400, body), "PUT /2.0/files/7")
    assert str(error) == "Box: Bad Request (PUT /2.0/files/7, 400 bad_request, abc123)"
    assert error.request_id == "abc123"


def test_a_401_without_a_body_says_what_to_do() -> None:
    error = error_from(reply(401, None, {"BOX-REQUEST-ID": "r1"}), "GET /2.0/users/me")
    assert "log in again" in str(error)
    assert error.request_id == "r1"


def test_a_scope_that_is_missing_is_told_from_the_header() -> None:
    error = error_from(reply(403, None, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}), "GET /2.0/x")
    assert isinstance(error, fs.Denied)
    assert "scope" in str(error)


def test_html_instead_of_json_is_survived() -> None:
    assert isinstance(error_from(reply(502, b"<html>"), "GET /2.0/x"), fs.Unreachable)
    assert isinstance(error_from(reply(400, b"[1]"), "GET /2.0/x"), fs.InvalidArgument)
