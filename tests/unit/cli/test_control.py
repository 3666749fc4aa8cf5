"""The control socket: one question, any number of words on the way, one answer."""

import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from boxfs.base.errors import Unreachable
from boxfs.cli.control import ControlServer, NotRunning, Progress, call
from boxfs.cli.exits import CliError


def _count(args: Mapping[str, Any], progress: Progress) -> Any:
    for number in range(args["to"]):
        progress(number)
    return {"done": args["to"]}


def _fail(args: Mapping[str, Any], progress: Progress) -> Any:
    raise Unreachable("Box cannot be reached")


def _break(args: Mapping[str, Any], progress: Progress) -> Any:
    raise KeyError("oops")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "s"
    server = ControlServer(path, {"count": _count, "fail": _fail, "break": _break})
    server.start()
    yield path
    server.close()
    assert not path.exists()


def test_progress_comes_before_the_result(path: Path) -> None:
    seen: list[int] = []
    assert call(path, "count", {"to": 3}, progress=seen.append) == {"done": 3}
    assert seen == [0, 1, 2]


def test_an_error_is_told_in_its_own_words(path: Path) -> None:
    with pytest.raises(CliError, match="Box cannot be reached"):
        call(path, "fail")
    with pytest.raises(CliError, match="does not know the command 'nonsense'"):
        call(path, "nonsense")


def test_a_defect_is_an_error_of_that_call_alone(path: Path) -> None:
    with pytest.raises(CliError, match="internal error: KeyError"):
        call(path, "break")
    assert call(path, "count", {"to": 0}) == {"done": 0}


def test_who_sends_nonsense_or_hangs_up_harms_nobody(path: Path) -> None:
    for data in (b"", b"nonsense\n", b'{"command": "count"}\n', b'["x"]\n'):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(path))
            rude.sendall(data)
    assert call(path, "count", {"to": 1}) == {"done": 1}


def test_only_the_owner_may_connect(path: Path) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_command_under_way_says_its_last_line_before_the_server_closes(tmp_path: Path) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(args: Mapping[str, Any], progress: Progress) -> Any:
        started.set()
        assert go.wait(30)
        return "late"

    server = ControlServer(tmp_path / "s", {"slow": slow})
    server.start()
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(call(tmp_path / "s", "slow")))
    caller.start()
    assert started.wait(30)
    closer = threading.Thread(target=server.close, args=(30.0,))
    closer.start()
    go.set()
    closer.join(30)
    caller.join(30)
    assert answers == ["late"]


def test_nobody_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        call(tmp_path / "none", "status")


def test_a_command_that_goes_on_telling_ends_with_the_mount(tmp_path: Path) -> None:
    told, ended = threading.Event(), threading.Event()

    def goes_on(_args: Mapping[str, Any], progress: Progress) -> Any:
        try:
            while True:
                progress("still at it")
                told.set()
                ended.wait(0.01)
        finally:
            ended.set()

    server = ControlServer(tmp_path / "s", {"pin": goes_on})
    server.start()
    heard: list[BaseException] = []

    def ask() -> None:
        try:
            call(tmp_path / "s", "pin")
        except NotRunning as error:
            heard.append(error)

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    assert told.wait(60)
    server.close(patience_s=60)
    assert ended.wait(60)
    asker.join(60)
    assert [str(error) for error in heard] == ["the mount ended before it answered"]
