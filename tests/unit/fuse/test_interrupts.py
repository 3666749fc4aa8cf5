"""Whose wait is ended by a signal, and what the kernel's messages say.  A stopped process keeps its signals pending."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.fuse.interrupts import MESSAGE_BYTES, Interrupts, Request, interrupted, is_to_be_let_go, parse

LOOKUP, MKDIR, OPEN, READ, FLUSH, RELEASE, INTERRUPT = 1, 9, 14, 15, 25, 18, 36
PREPARE = """if True:
    import signal, sys, time
    handled, blocked, ignored = sys.argv[1:]
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):  # who runs in the background inherits otherwise
        signal.signal(number, signal.SIG_DFL)
    for name in filter(None, handled.split(",")):
        signal.signal(signal.Signals[name], lambda *_: None)
    for name in filter(None, ignored.split(",")):
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.Signals[name] for name in blocked.split(",") if name])
    print("ready", flush=True)
    time.sleep(3600)
"""


class Stopped:
    def __init__(self, handled: str = "", blocked: str = "", ignored: str = "") -> None:
        words = [sys.executable, "-c", PREPARE, handled, blocked, ignored]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 60
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline

    def lets_go(self, opcode: int = MKDIR, *, reads: bool = False) -> bool:
        return is_to_be_let_go(Request(7, opcode, self.process.pid, reads))

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture
def made() -> Iterator[list[Stopped]]:
    made: list[Stopped] = []
    yield made
    for each in made:
        each.close()


CASES = [
    # handled, blocked, ignored, sent, let go from what changes something, from what only reads
    ("", "", "", "SIGTERM", True, True),
    ("", "", "", "SIGHUP", True, True),
    ("", "", "", "SIGALRM", True, True),
    ("", "", "", "SIGUSR1", True, True),
    ("", "", "", "SIGCHLD", False, False),
    ("", "", "", "SIGURG", False, False),
    ("", "", "", "SIGWINCH", False, False),
    ("", "", "", "SIGTSTP", False, False),
    ("SIGTERM", "", "", "SIGTERM", False, False),
    ("SIGALRM", "", "", "SIGALRM", False, False),
    ("", "SIGTERM", "", "SIGTERM", False, False),
    ("", "", "SIGTERM", "SIGTERM", False, False),
    ("SIGINT", "", "", "SIGINT", False, True),
    ("SIGINT", "SIGINT", "", "SIGINT", False, False),
]


@pytest.mark.parametrize(("handled", "blocked", "ignored", "sent", "always", "reading"), CASES)
def test_who_is_about_to_be_ended_is_let_go(
    made: list[Stopped], handled: str, blocked: str, ignored: str, sent: str, always: bool, reading: bool
) -> None:
    stopped = Stopped(handled, blocked, ignored)
    made.append(stopped)
    assert not stopped.lets_go(READ, reads=True)
    stopped.process.send_signal(signal.Signals[sent])
    assert stopped.lets_go(MKDIR) == always
    assert stopped.lets_go(LOOKUP, reads=True) == reading
    assert not stopped.lets_go(FLUSH)
    assert not stopped.lets_go(RELEASE)


def test_of_whom_nothing_can_be_known_waits_on() -> None:
    assert not is_to_be_let_go(Request(7, LOOKUP, 0, True))
    gone = subprocess.Popen(["true"])
    gone.wait(60)
    assert not is_to_be_let_go(Request(7, LOOKUP, gone.pid, True))


def test_where_no_thread_can_be_the_program_waits_on_and_the_next_signal_is_heard(
    made: list[Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Stopped()
    made.append(stopped)
    looked = threading.Semaphore(0)

    def find(unique: int) -> Request:
        looked.release()
        return Request(unique, LOOKUP, stopped.process.pid, True)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    heard = Interrupts(-1, find)
    with monkeypatch.context() as no_threads:
        no_threads.setattr(threading.Thread, "start", refuse)
        heard.heard(7)  # a worker calls it: what it raises ends the mount
    heard.heard(8)
    for _ in range(8):
        assert looked.acquire(timeout=60)
    heard.end()


def _message(opcode: int, body: bytes, unique: int = 11, pid: int = 1234) -> bytes:
    header = struct.pack("=IIQQIIIHH", 40 + len(body), opcode, unique, 1, 0, 0, pid, 0, 0)
    return (header + body).ljust(MESSAGE_BYTES, b"\0")


def test_messages_of_the_kernel() -> None:
    assert interrupted(_message(INTERRUPT, struct.pack("=Q", 77))) == 77
    assert interrupted(_message(OPEN, struct.pack("=II", os.O_RDONLY, 0))) is None
    assert parse(_message(LOOKUP, b"name\0")) == Request(11, LOOKUP, 1234, True)
    assert parse(_message(MKDIR, bytes(8))) == Request(11, MKDIR, 1234, False)
    assert parse(_message(OPEN, struct.pack("=II", os.O_RDWR, 0))).reads
    assert not parse(_message(OPEN, struct.pack("=II", os.O_WRONLY | os.O_TRUNC, 0))).reads
