"""boxfs sync says why it ends where something is left."""

from __future__ import annotations

from typing import Any

import pytest

from boxfs.cli import sync
from boxfs.cli.exits import Exit
from boxfs.cli.mounts import Running

MOUNT = Running(mountpoint="/mnt", remote="box:", pid=1, cache_dir="/cache", socket="/run/socket", started=0.0)


def _ends(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> int:
    monkeypatch.setattr(sync, "mount_of_argument", lambda _path: [(MOUNT, "")])
    monkeypatch.setattr("boxfs.cli.control.call", lambda *_arguments, **_options: answer)
    callback = sync.command.callback
    assert callback is not None
    code: int = callback(None, "8", True)
    return code


@pytest.mark.parametrize("why", ["time is up", "Box refuses the login: run `boxfs login`, then `boxfs retry`"])
def test_what_is_left_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], why: str
) -> None:
    code = _ends(monkeypatch, pending={"items": 1, "bytes": 13, "failed": 0}, problems=[], why=why)
    assert code == Exit.FAILED
    assert capsys.readouterr().err == f"boxfs: /mnt: 1 change to send, 13 B: {why}\n"


def test_a_problem_of_a_file_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [{"path": "a", "error": "the file is larger than the Box plan allows"}]
    code = _ends(monkeypatch, pending={"items": 1, "bytes": 13, "failed": 1}, problems=problems, why="")
    assert code == Exit.FAILED
    assert capsys.readouterr().err == "boxfs: /mnt/a: the file is larger than the Box plan allows\n"


def test_where_nothing_is_left_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ends(monkeypatch, pending={"items": 0}, problems=[], why=None) == Exit.OK
    assert capsys.readouterr().err == ""
