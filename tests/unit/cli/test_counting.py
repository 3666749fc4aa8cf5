"""Calls to Box are counted as the plan counts them, over restarts."""

from pathlib import Path

import pytest

from boxfs.api.http import Bytes, Cost, Request, Response
from boxfs.base.errors import Unreachable
from boxfs.cli.counting import CallCounter, kind_of

JANUARY = 1_767_300_000.0  # 2026-01-01


class Box:
    """Answers everything with ten bytes, until it is unplugged."""

    plugged = True

    def send(self, request: Request) -> Response:
        if not self.plugged:
            raise Unreachable("unplugged")
        return Response(200, {}, iter([b"12345", b"67890"]))

    def close(self) -> None: ...


def test_kinds_have_no_ids() -> None:
    assert kind_of(Request("GET", "https://h/2.0/folders/0/items")) == "GET /folders/{id}/items"
    assert kind_of(Request("POST", "https://h/api/2.0/files/content")) == "POST /files/content"
    assert kind_of(Request("PUT", "https://h/api/2.0/files/upload_sessions/AB12")) == "PUT /files/upload_sessions/{id}"
    assert kind_of(Request("GET", "https://h/2.0/users/me")) == "GET /users/me"


def test_calls_and_bytes_are_counted_and_the_month_outlives_the_process(tmp_path: Path) -> None:
    now = JANUARY
    box = Box()
    counter = CallCounter(box, tmp_path / "calls.json", lambda: now)
    for _ in range(3):
        counter.send(Request("GET", "https://h/2.0/users/me")).read()
    counter.send(Request("POST", "https://h/api/2.0/files/content", body=Bytes(b"abc"))).read()
    assert len(counter.send(Request("GET", "https://dl/x", cost=Cost.FREE, stream=True)).read()) == 10
    told = counter.told()
    assert (told["total"], told["last_minute"], told["free"]) == (4, 4, 1)
    assert (told["sent_bytes"], told["received_bytes"]) == (3, 10)
    assert told["by_kind"] == {"GET /users/me": 3, "POST /files/content": 1}

    now += 61
    assert counter.told()["last_minute"] == 0
    counter.close()
    again = CallCounter(box, tmp_path / "calls.json", lambda: now)
    assert again.told()["month"] == 4
    now += 32 * 86400
    again.send(Request("GET", "https://h/2.0/users/me")).read()
    assert again.told()["month"] == 1


def test_a_call_that_fails_was_made_all_the_same(tmp_path: Path) -> None:
    box = Box()
    box.plugged = False
    counter = CallCounter(box, tmp_path / "calls.json")
    with pytest.raises(Unreachable):
        counter.send(Request("GET", "https://h/2.0/users/me"))
    assert (counter.told()["total"], counter.told()["failed"]) == (1, 1)


def test_a_damaged_count_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "calls.json").write_text("{")
    assert CallCounter(Box(), tmp_path / "calls.json").told()["month"] == 0
