"""What people and programs see of a mount: status, top, metrics, why, the dashboard's data."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from rich.console import Console

from boxfs.cli.asking import describe as describe_why
from boxfs.cli.dashboard import Dashboard, History
from boxfs.cli.metrics import exposition
from boxfs.cli.status import describe
from boxfs.cli.top import Rates, view
from boxfs.cli.wiring import said_once

STATUS: dict[str, Any] = {
    "mountpoint": '/mnt/a "b"',
    "remote": "box:/Team",
    "pid": 7,
    "cache_dir": "/c",
    "state": "online",
    "account": {"id": "1", "name": "Ada", "login": "ada@example.com"},
    "pending": {"items": 3, "bytes": 3 << 20, "failed": 1},
    "uploading": [{"path": "big.iso", "bytes": 2 << 20, "sent": 1 << 20}],
    "problems": [{"path": "x.txt", "error": "the Box account is full"}],
    "cache": {"bytes": 1 << 20, "limit": 10 << 30},
    "last_event_s": 990.0,
    "errors": [],
    "calls": {
        "total": 12,
        "last_minute": 4,
        "month": 900,
        "budget": 50_000,
        "failed": 0,
        "sent_bytes": 5000,
        "received_bytes": 0,
        "by_kind": {"GET /folders/{id}/items": 9, "POST /files/content": 3},
    },
}
DEAD = {"mountpoint": "/mnt/d", "remote": "box:/", "pid": 8, "cache_dir": "/d", "state": "dead"}


def _text(statuses: list[dict[str, Any]], rates: Rates, now: float) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    try:
        console.print(view(statuses, rates, now))
        return console.export_text()
    finally:
        console.file.close()


def test_status_says_what_is_pending_and_what_is_wrong() -> None:
    text = "\n".join(describe(STATUS))
    assert "box:/Team at /mnt/a" in text
    assert "3 changes to send, 3.0 MiB; 1 did not go through yet" in text
    assert "x.txt: the Box account is full" in text
    assert "900 this month of 50000" in text
    assert "its process is gone" in "\n".join(describe(DEAD))


def test_status_is_as_short_with_much_under_way() -> None:
    many = {
        **STATUS,
        "uploading": [{"path": f"u{n}", "bytes": 2048, "sent": 1024} for n in range(64)],
        "problems": [{"path": f"p{n}", "error": "no"} for n in range(64)],
    }
    lines = describe(many)
    assert len(lines) < 30
    assert "  uploading u0: 1.0 KiB of 2.0 KiB" in lines
    assert sum(line.endswith("and 56 more: `boxfs status --json` names them") for line in lines) == 2


def test_top_shows_rates_between_two_looks() -> None:
    rates = Rates()
    assert "up 0 B/s" in _text([STATUS], rates, 1000.0)
    later = {**STATUS, "calls": {**STATUS["calls"], "sent_bytes": 5000 + 4096}}
    text = _text([later, DEAD], rates, 1002.0)
    assert "up 2.0 KiB/s" in text
    assert "900 this month of 50000 (1.8 %)" in text
    assert "big.iso" in text
    assert "GET /folders/{id}/items 9" in text
    assert "12 s ago" in text
    assert "dead" in text
    assert "no mount is running" in _text([], rates, 1.0)


def test_metrics_are_what_prometheus_reads() -> None:
    text = exposition([STATUS, DEAD])
    lines = text.splitlines()
    assert 'boxfs_up{mountpoint="/mnt/a \\"b\\"",remote="box:/Team"} 1' in lines
    assert 'boxfs_up{mountpoint="/mnt/d",remote="box:/"} 0' in lines
    assert 'boxfs_pending_bytes{mountpoint="/mnt/a \\"b\\"",remote="box:/Team"} 3145728' in lines
    assert any(line.endswith('call="POST /files/content"} 3') for line in lines)
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)), "each series is described once"
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ", "boxfs_"))


def test_why_tells_what_is_pending_and_when_it_is_tried_again() -> None:
    told = {
        "path": "a/x.txt",
        "inode": 5,
        "kind": "file",
        "size": 10,
        "pending": {"state": "error", "what": ["content"], "size": 10, "sent": 0, "error": "the Box account is full",
                    "attempts": 3, "retry_ns": 1060 * 10**9},
        "stale": None,
        "network": {"online": True, "why": None, "until_ns": 0},
        "last_event_s": 990.0,
        "box": {"id": "9", "name": "x.txt", "etag": "2", "version": "4", "can_download": True, "can_upload": False},
        "cached_bytes": 10,
    }  # fmt: skip
    text = "\n".join(describe_why(told, 1000.0))
    assert "failed 3 times: the Box account is full; tried again in 60 s" in text
    assert "does not allow: upload" in text
    assert "10 B of 10 B" in text


def test_the_history_keeps_rates_and_forgets_mounts_that_are_gone() -> None:
    history = History()
    history.add([STATUS], 1000.0)
    history.add([{**STATUS, "calls": {**STATUS["calls"], "sent_bytes": 7000}}], 1002.0)
    ((told),) = history.told()
    assert [row["up"] for row in told["history"]] == [0.0, 1000.0]
    history.add([DEAD], 1004.0)
    assert [one["status"]["mountpoint"] for one in history.told()] == ["/mnt/d"]


def test_the_dashboard_is_for_who_has_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    dashboard = Dashboard(0)
    dashboard.start()
    try:
        base, _, token = dashboard.url.partition("?")
        with urllib.request.urlopen(f"{base}data?{token}", timeout=30) as reply:
            assert json.load(reply) == []
        for url, headers in (
            (f"{base}data", {}),
            (f"{base}?token=x", {}),
            (f"{base}?{token}", {"Host": "evil.example"}),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30)
            assert refused.value.code == 403
            refused.value.close()
    finally:
        dashboard.close()


def test_what_keeps_box_out_of_reach_and_the_news_too_is_said_once() -> None:
    assert said_once("away", "away") == ["away"]
    assert said_once(None, "the poll failed") == ["the poll failed"]
    assert said_once("away", "the poll failed") == ["away", "the poll failed"]
    assert said_once(None, None) == []
