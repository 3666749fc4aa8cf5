"""Uploads in one request, and downloads (box-api.md sections 10 and 11)."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import Any
from urllib.parse import urlparse

import pytest
import requests

from tests.support.box import Box


def form(attributes: dict[str, Any], content: bytes) -> list[tuple[str, Any]]:
    return [("attributes", (None, json.dumps(attributes))), ("file", ("unused", content))]


NEW = {"name": "f", "parent": {"id": "0"}}


def test_trap_13_an_upload_is_answered_with_a_list(box: Box) -> None:
    reply = box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"x"))
    assert (reply.status_code, reply.json()["total_count"]) == (201, 1)
    number = reply.json()["entries"][0]["id"]
    version = box.ask("POST", f"/api/2.0/files/{number}/content", files=form({"name": "g"}, b"y"))
    assert (version.status_code, version.json()["total_count"]) == (201, 1)
    assert version.json()["entries"][0]["name"] == "g"
    chosen = box.ask("POST", "/api/2.0/files/content?fields=name", files=form(NEW, b"x")).json()
    assert set(chosen["entries"][0]) == {"type", "id", "etag", "name"}


def test_trap_14_content_md5_holds_a_sha1(box: Box) -> None:
    wrong = box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"x"), headers={"Content-MD5": "0" * 40})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_digest")
    assert box.tree() == {}
    right = {"Content-MD5": hashlib.sha1(b"x").hexdigest()}
    assert box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"x"), headers=right).status_code == 201


def test_trap_15_attributes_come_before_the_bytes(box: Box) -> None:
    reply = box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"x")[::-1])
    assert (reply.status_code, reply.json()["code"]) == (400, "metadata_after_file_contents")
    odd = [("attributes", ("attributes.json", json.dumps(NEW), "application/json")), ("whatever", ("name.exe", b"x"))]
    assert box.ask("POST", "/api/2.0/files/content", files=odd).json()["entries"][0]["name"] == "f"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_003])
def test_any_bytes_come_back(box: Box, size: int) -> None:
    content = (b"\r\n--boundary\r\n\r\n--" * (size // 18 + 1))[:size]
    box.upload("/f", content)
    assert box.read("/f") == content


def test_a_body_that_ends_early_stores_nothing(box: Box) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n' + json.dumps(NEW).encode()
    body += b'\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf of it'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert box.ask("POST", "/api/2.0/files/content", data=body, headers=headers).status_code == 400
    assert box.tree() == {}


def test_preflight_says_whether_an_upload_would_do(box: Box) -> None:
    reply = box.call("OPTIONS", "/2.0/files/content", json=NEW | {"size": 5})
    assert "/api/2.0/files/content?upload_session_id=" in reply["upload_url"]
    box.settings(space_amount=100)
    full = box.ask("OPTIONS", "/2.0/files/content", json=NEW | {"size": 101})
    assert (full.status_code, full.json()["code"]) == (403, "storage_limit_exceeded")
    box.settings(max_upload_size=50)
    big = box.ask("OPTIONS", "/2.0/files/content", json=NEW | {"size": 51})
    assert (big.status_code, big.json()["code"]) == (403, "file_size_limit_exceeded")
    assert box.ask("OPTIONS", "/2.0/files/content", json=NEW | {"size": -1}).status_code == 400
    made = box.call("POST", reply["upload_url"], files=form(NEW, b"12345"))["entries"][0]
    box.call("OPTIONS", f"/2.0/files/{made['id']}/content", json={"name": "F", "size": 6})


def test_the_quota_counts_the_trash(box: Box) -> None:
    box.settings(space_amount=10)
    box.upload("/f", b"12345678")
    box.delete("/f")
    full = box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"123"))
    assert (full.status_code, full.json()["code"]) == (403, "storage_limit_exceeded")
    box.call("DELETE", f"/2.0/files/{box.trash()[0]['id']}/trash")
    assert box.ask("POST", "/api/2.0/files/content", files=form(NEW, b"123")).status_code == 201
    assert box.me()["space_used"] == 3


def test_trap_16_a_download_is_a_redirect_to_another_host(box: Box) -> None:
    file = box.upload("/a b.txt", b"0123456789")
    reply = box.ask("GET", f"/2.0/files/{file['id']}/content", allow_redirects=False)
    assert (reply.status_code, reply.content) == (302, b"")
    url = reply.headers["Location"]
    assert urlparse(url).hostname != urlparse(box.url).hostname
    bare = requests.get(url, timeout=60)
    assert bare.content == b"0123456789"
    assert bare.headers["Content-Disposition"] == "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"
    box.settings(download_url_life_s=0.0)
    late = box.ask("GET", f"/2.0/files/{file['id']}/content", allow_redirects=False).headers["Location"]
    assert requests.get(late, timeout=60).status_code == 403


def test_trap_16_fresh_bytes_are_not_ready_at_first(box: Box) -> None:
    box.settings(fresh_content_202=2)
    file = box.upload("/f", b"x")
    path = f"/2.0/files/{file['id']}/content"
    replies = [box.ask("GET", path) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [202, 202, 200]
    assert replies[0].headers["Retry-After"] == "1"
    box.new_version("/f", b"y")
    assert box.ask("GET", path).status_code == 202


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(box: Box, asked: str, status: int, content: bytes, told: str | None) -> None:
    file = box.upload("/f", b"0123456789")
    reply = box.ask("GET", f"/2.0/files/{file['id']}/content", headers={"Range": asked})
    assert (reply.status_code, reply.content, reply.headers.get("Content-Range")) == (status, content, told)


def test_a_reader_that_goes_away_leaves_the_server_well(box: Box) -> None:
    file = box.upload("/f", bytes(8 << 20))
    url = urlparse(box.ask("GET", f"/2.0/files/{file['id']}/content", allow_redirects=False).headers["Location"])
    with socket.create_connection((urlparse(box.url).hostname, url.port), timeout=60) as peer:
        peer.sendall(f"GET {url.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert peer.recv(1000)
    assert box.read("/f") == bytes(8 << 20)
