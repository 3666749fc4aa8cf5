"""An end that hangs says where, and does not hang for ever."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from boxfs.base.ending import Ending, stacks, wait_for

PATIENCE_S = 60.0


def test_a_thread_that_does_not_end_is_waited_for_so_long_and_named(caplog: pytest.LogCaptureFixture) -> None:
    stuck = threading.Event()
    thread = threading.Thread(target=stuck.wait, name="boxfs-stuck", daemon=True)
    assert wait_for(thread, 1), "it never began"
    thread.start()
    assert not wait_for(thread, 0.01)
    assert "boxfs-stuck has not ended" in caplog.text
    stuck.set()
    assert wait_for(thread, PATIENCE_S)
    assert wait_for(None, 0)
    assert wait_for(threading.current_thread(), 0)


def test_an_end_that_takes_long_tells_where_everybody_is_and_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    given_up = threading.Event()
    ending = Ending(given_up.set, tell_s=0.05, give_up_s=0.3)
    ending.phase("the uploads")
    assert given_up.wait(PATIENCE_S)
    ending.over()
    assert "takes long (the uploads)" in caplog.text
    assert "thread MainThread" in caplog.text
    assert "test_an_end_that_takes_long" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]


def test_what_begins_an_end_does_not_shorten_one_that_is_under_way() -> None:
    given_up = threading.Event()
    ending = Ending(given_up.set, tell_s=0.05, give_up_s=0.1)
    ending.phase("uploads", 3600)  # of somebody's fusermount3 -u; now a SIGTERM comes
    ending.phase("files that are still open", 0.0, first=True)
    assert not given_up.wait(1.0)
    ending.over()


def test_an_end_that_is_over_says_nothing(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ending = Ending(lambda: pytest.fail("it was over"), tmp_path / "log", tell_s=0.05, give_up_s=0.1)
    ending.phase("uploads", allowed_s=float("inf"))
    ending.over()
    ending.phase("more", allowed_s=0)
    assert caplog.text == ""
    assert (tmp_path / "log").read_text() == ""


def test_what_is_allowed_its_time_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    ending = Ending(lambda: None, tell_s=0.01, give_up_s=0.02)
    ending.phase("uploads", allowed_s=3600)
    time.sleep(0.1)  # long enough for it to be wrong; too short only makes the test say less
    ending.over()
    assert caplog.text == ""


def test_stacks_show_lines_and_no_values() -> None:
    token = "s3cret" * 3
    assert "in test_stacks_show_lines" in stacks()
    assert token not in stacks()


def test_where_python_itself_hangs_the_process_ends_all_the_same(tmp_path: Path) -> None:
    """A C call that keeps the interpreter's lock: no thread of Python's runs, the one of faulthandler does."""
    program = (
        "import ctypes, pathlib, sys\n"
        "from boxfs.base.ending import Ending\n"
        "ending = Ending(lambda: None, pathlib.Path(sys.argv[1]), tell_s=0.1, give_up_s=-4.5)\n"
        "ending.phase('closing')\n"
        "ctypes.PyDLL(None).sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "log")], timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert "most recent call first" in (tmp_path / "log").read_text()
