"""The awkward network: fault plan, latency, bandwidth, rate limits, request log."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.box import Box

UNFINISHED = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


def faults(box: Box) -> list[dict[str, object]]:
    return list(box.call("GET", "/_emulator/faults")["faults"])


def test_fault_status_comes_for_the_next_n_and_counts(box: Box) -> None:
    box.fault(do="status", status=503, path="/users/me", times=2, headers={"Retry-After": "7"})
    first, second, third = (box.ask("GET", "/2.0/users/me") for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [503, 503, 200]
    assert first.headers["Retry-After"] == "7"
    assert first.json()["code"] == "unavailable"
    assert [(f["seen"], f["fired"]) for f in faults(box)] == [(2, 2)]


def test_fault_skips_some_and_then_lasts_for_ever(box: Box) -> None:
    box.fault(do="status", status=500, method="GET", path="/users/me$", skip=2, times=None)
    assert [box.ask("GET", "/2.0/users/me").status_code for _ in range(5)] == [200, 200, 500, 500, 500]
    box.call("DELETE", "/_emulator/faults")
    assert box.ask("GET", "/2.0/users/me").status_code == 200


def test_fault_matches_method_query_user_and_size(box: Box) -> None:
    box.fault(do="status", status=400, method="GET", query="fields=name")
    box.fault(do="status", status=401, user="bob@example.com")
    box.fault(do="status", status=502, method="POST", min_body=1000)
    assert box.ask("GET", "/2.0/users/me").status_code == 200
    assert box.ask("GET", "/2.0/users/me?fields=name").status_code == 400
    bob = box.as_user("bob-token")
    refused = bob.ask("GET", "/2.0/users/me")
    assert (refused.status_code, refused.content) == (401, b"")
    assert "invalid_token" in refused.headers["WWW-Authenticate"]
    bob.close()
    box.upload("/small", b"x")
    assert box.ask("POST", "/2.0/folders", data=b"x" * 2000).status_code == 502


def test_fault_503_but_done(box: Box) -> None:
    box.fault(do="status", status=503, done=True, method="POST", path="/folders$")
    assert box.ask("POST", "/2.0/folders", json={"name": "a", "parent": {"id": "0"}}).status_code == 503
    assert box.exists("/a")


def test_fault_503_and_not_done(box: Box) -> None:
    box.fault(do="status", status=503, method="POST", path="/folders$")
    assert box.ask("POST", "/2.0/folders", json={"name": "a", "parent": {"id": "0"}}).status_code == 503
    assert not box.exists("/a")


@pytest.mark.parametrize(
    ("at", "done"),
    [("before", False), ("in_body", False), ("after_body", False), ("after_done", True), ("in_response", True)],
)
def test_fault_reset(box: Box, at: str, done: bool) -> None:
    box.fault(do="reset", at=at, method="POST", path="/files/content")
    with pytest.raises(UNFINISHED):
        box.upload("/a", bytes(300_000))
    assert box.exists("/a") == done
    assert [entry["status"] for entry in box.log() if entry["method"] == "POST"] == [0]


def test_fault_truncated_body_has_its_full_length_announced(box: Box) -> None:
    box.upload("/a", bytes(range(256)) * 1000)
    box.fault(do="truncate", path="^/dl/", after=1000)
    reply = box.ask("GET", f"/2.0/files/{box.find('/a')['id']}/content", stream=True)
    assert reply.headers["Content-Length"] == "256000"
    with pytest.raises(UNFINISHED):
        _ = reply.content
    assert box.read("/a") == bytes(range(256)) * 1000


def test_fault_wrong_byte(box: Box) -> None:
    box.upload("/a", b"0123456789")
    box.fault(do="corrupt", path="^/dl/", after=3)
    got = box.read("/a")
    assert [i for i in range(10) if got[i] != b"0123456789"[i]] == [3]


def test_fault_stall_lasts_until_the_client_goes(box: Box) -> None:
    box.fault(do="stall", path="/users/me", seconds=None)
    with pytest.raises(requests.Timeout):
        box.session.get(f"{box.url}/2.0/users/me", timeout=0.5)
    assert box.ask("GET", "/2.0/users/me").status_code == 200


@pytest.mark.parametrize("at", ["before", "after_done", "in_response"])
def test_fault_stall_ends_and_the_answer_comes(box: Box, at: str) -> None:
    box.fault(do="stall", path="/users/me", seconds=0.3, at=at)
    began = time.monotonic()
    assert box.me()["login"] == "ada@example.com"
    assert time.monotonic() - began >= 0.3


def test_a_fault_that_makes_no_sense_is_refused(box: Box) -> None:
    for fault in (
        {"do": "dance"},
        {"do": "reset", "at": "noon"},
        {"do": "status", "colour": 1},
        {"do": "stall", "path": "("},
    ):
        assert box.ask("POST", "/_emulator/faults", json=fault).status_code == 400
    assert faults(box) == []


def test_one_fault_can_be_taken_out(box: Box) -> None:
    added = box.call("POST", "/_emulator/faults", json={"do": "status", "path": "/users/me", "times": None})
    assert box.ask("GET", "/2.0/users/me").status_code == 503
    box.call("DELETE", f"/_emulator/faults/{added['id']}")
    assert box.ask("GET", "/2.0/users/me").status_code == 200
    assert box.ask("DELETE", "/_emulator/faults/none").status_code == 404


def test_knob_latency(box: Box) -> None:
    box.settings(latency_s=0.2)
    began = time.monotonic()
    box.me()
    assert time.monotonic() - began >= 0.2


def test_knob_bandwidth_holds_for_each_connection_and_way(box: Box) -> None:
    box.upload("/a", bytes(100_000))
    box.settings(bandwidth=250_000)
    began = time.monotonic()
    box.read("/a")
    assert time.monotonic() - began >= 0.35
    began = time.monotonic()
    box.upload("/b", bytes(100_000))
    assert time.monotonic() - began >= 0.35


def test_knob_calls_per_minute_with_retry_after_per_user(box: Box) -> None:
    box.settings(calls_per_minute=3)
    replies = [box.ask("GET", "/2.0/users/me") for _ in range(5)]
    assert [r.status_code for r in replies] == [200, 200, 200, 429, 429]
    assert 1 <= int(replies[-1].headers["Retry-After"]) <= 60
    assert replies[-1].json()["code"] == "rate_limit_exceeded"
    bob = box.as_user("bob-token")
    assert bob.ask("GET", "/2.0/users/me").status_code == 200
    bob.close()
    box.settings(clock_offset_s=61.0)
    assert box.ask("GET", "/2.0/users/me").status_code == 200


def test_knob_uploads_per_minute(box: Box) -> None:
    box.settings(uploads_per_minute=1, rate_retry_after_s=5)
    box.upload("/a", b"a")
    assert box.ask("GET", "/2.0/users/me").status_code == 200
    refused = box.ask("POST", "/api/2.0/files/content", data=b"")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")


def test_log_counts_by_endpoint(box: Box) -> None:
    box.upload("/a", b"hello")
    box.read("/a")
    box.clear_log()
    number = box.find("/a")["id"]
    assert box.calls() == {"GET /2.0/folders/{id}/items": 1}
    assert box.ask("GET", f"/2.0/files/{number}/content").content == b"hello"
    assert box.calls()["GET /2.0/files/{id}/content"] == 1
    entry = box.log()[-1]
    assert (entry["template"], entry["status"], entry["bytes_out"]) == ("/dl", 200, 5)
    assert box.log()[1]["user"] == "ada@example.com"


def test_log_holds_no_token(box: Box) -> None:
    box.upload("/a", b"hello")
    box.ask("GET", f"/2.0/files/{box.find('/a')['id']}/content?access_token=dev-token", headers={"Authorization": ""})
    assert "dev-token" not in str(box.log())


def test_log_is_complete_when_the_reply_has_arrived(box: Box) -> None:
    def ask_often() -> None:
        client = box.as_user("dev-token")
        for _ in range(20):
            client.me()
        client.close()

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert box.calls() == {"GET /2.0/users/me": 80}


def test_a_reset_is_a_real_tcp_reset(box: Box) -> None:
    box.fault(do="reset", at="after_body", path="/users/me")
    address = urlsplit(box.url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"GET /2.0/users/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
