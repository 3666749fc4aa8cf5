"""Every kind of write call meets every kind of failure once: nothing is lost, nothing doubled, no version too many."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from tests.mount.test_programs import make_tree, run, sha1s
from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

LARGE = 21_000_000  # above what Box takes in parts

CALLS = {
    "make a folder": ("POST", r"^/2\.0/folders$"),
    "upload": ("POST", r"/files/content$"),
    "new version": ("POST", r"/files/\d+/content$"),
    "rename or move": ("PUT", r"^/2\.0/files/\d+$"),
    "delete": ("DELETE", r"^/2\.0/(files|folders)/\d+$"),
    "copy": ("POST", r"/copy$"),
    "metadata": ("POST", r"/metadata/global/properties$"),
    "open a session": ("POST", r"/upload_sessions$"),
    "part": ("PUT", r"/upload_sessions/[^/]+$"),
    "commit": ("POST", r"/commit$"),
}

FAULTS: dict[str, dict[str, Any]] = {
    "503, not done": {"do": "status", "status": 503, "headers": {"Retry-After": "1"}},
    "503, but done": {"do": "status", "status": 503, "headers": {"Retry-After": "1"}, "done": True},
    "500": {"do": "status", "status": 500},
    "500, but done": {"do": "status", "status": 500, "done": True},
    "429": {"do": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "401": {"do": "status", "status": 401},
    "409 blocked": {"do": "status", "status": 409, "code": "operation_blocked_temporary"},
    "reset before": {"do": "reset", "at": "before"},
    "reset in the body": {"do": "reset", "at": "in_body"},
    "reply lost": {"do": "reset", "at": "after_done"},
    "reply cut": {"do": "truncate"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_failure_of_each_write_call_loses_and_doubles_nothing(fault: str, box: Box, tmp_path: Path) -> None:
    box.settings(part_size=8 << 20)
    box.makedirs("/old/gone")
    box.upload("/old/edited.txt", b"first")
    box.upload("/old/renamed.txt", b"renamed")
    box.upload("/old/original.bin", os.urandom(300_000))
    box.upload("/old/deleted.txt", b"deleted")
    with Mounted(box.url, tmp_path / "home", options=["settle=600"]) as drive:
        assert (drive.path / "old/edited.txt").read_bytes() == b"first"
        large = os.urandom(1 << 20) * 21
        for method, path in CALLS.values():
            box.fault(method=method, path=path, times=1, **FAULTS[fault])
        (drive.path / "new/folder").mkdir(parents=True)
        (drive.path / "new/folder/file.txt").write_bytes(b"new")
        (drive.path / "new/run.sh").write_bytes(b"#!/bin/sh\n")
        (drive.path / "new/run.sh").chmod(0o755)
        (drive.path / "new/large.bin").write_bytes(large[:LARGE])
        (drive.path / "old/edited.txt").write_bytes(b"second")
        os.rename(drive.path / "old/renamed.txt", drive.path / "new/moved.txt")
        run("cp", str(drive.path / "old/original.bin"), str(drive.path / "new/copy.bin"))
        os.unlink(drive.path / "old/deleted.txt")
        os.rmdir(drive.path / "old/gone")
        eventually(lambda: drive.run("sync", "-q", "-t", "60", str(drive.path)).returncode == 0, "all is sent", 150)

        expected = {
            "/new": None, "/new/folder": None, "/old": None,
            "/new/folder/file.txt": 3, "/new/run.sh": 10, "/new/large.bin": LARGE, "/new/moved.txt": 7,
            "/new/copy.bin": 300_000, "/old/edited.txt": 6, "/old/original.bin": 300_000,
        }  # fmt: skip
        tree = box.tree()
        assert {p: e.size if e.kind == "file" else None for p, e in tree.items()} == expected
        assert tree["/new/copy.bin"].sha1 == tree["/old/original.bin"].sha1
        assert box.read("/new/large.bin") == large[:LARGE]
        assert len(box.versions("/old/edited.txt")) == 1
        assert not any(box.versions(path) for path, e in tree.items() if e.kind == "file" and "edited" not in path)
        assert sorted(entry["name"] for entry in box.trash()) == ["deleted.txt", "gone"]
        assert os.access(drive.path / "new/run.sh", os.X_OK)
        fired = {f["path"] for f in box.call("GET", "/_emulator/faults")["faults"] if f["fired"]}
        assert fired == {path for _, path in CALLS.values()}


@pytest.mark.parametrize("why", ["quota", "403"])
def test_what_box_goes_on_refusing_is_shown_and_sent_when_it_may(why: str, box: Box, tmp_path: Path) -> None:
    with Mounted(box.url, tmp_path / "home", options=["settle=0"]) as drive:
        os.listdir(drive.path)
        if why == "quota":
            box.settings(space_amount=1000)
        else:
            box.fault(method="POST", path=r"/files/content$", do="status", status=403, times=None)
        (drive.path / "thesis.txt").write_bytes(b"x" * 5000)
        eventually(lambda: drive.status()["pending"]["failed"] == 1, "the status shows that it failed")
        shown = drive.run("status", str(drive.path)).stdout
        assert "thesis.txt" in shown
        assert (drive.path / "thesis.txt").read_bytes() == b"x" * 5000
        if why == "quota":
            box.settings(space_amount=10 << 30)
        else:
            box.call("DELETE", "/_emulator/faults")
        assert drive.run("retry", str(drive.path)).returncode == 0
        eventually(lambda: "/thesis.txt" in box.files(), "it is sent")


@pytest.mark.parametrize("option", ["sync", "fsync=box"])
def test_a_save_that_waits_for_box_gets_its_error(option: str, box: Box, tmp_path: Path) -> None:
    with Mounted(box.url, tmp_path / "home", options=[option]) as drive:

        def save(name: str) -> None:
            fd = os.open(drive.path / name, os.O_CREAT | os.O_WRONLY)
            try:
                os.write(fd, b"x" * 1000)
                if option == "fsync=box":
                    os.fsync(fd)
            finally:
                os.close(fd)

        save("fine")
        assert "/fine" in box.files()
        box.fault(method="POST", path=r"/files/content$", do="status", status=403, times=None)
        with pytest.raises(OSError) as caught:
            save("refused")
        assert caught.value.errno in (errno.EACCES, errno.EPERM)
        assert (drive.path / "refused").read_bytes() == b"x" * 1000
        box.call("DELETE", "/_emulator/faults")
        assert drive.run("retry", str(drive.path)).returncode == 0
        eventually(lambda: "/refused" in box.files(), "it is sent once it may be")


def test_a_hundred_files_under_boxs_limits_meet_no_429(box: Box, tmp_path: Path) -> None:
    contents = make_tree(tmp_path / "source", 5, 100)
    with box.knobs(calls_per_minute=1000, uploads_per_minute=240):
        with Mounted(box.url, tmp_path / "home") as drive:
            run("cp", "-r", str(tmp_path / "source"), str(drive.path / "copy"))
            drive.sync()
            assert box.files() == sha1s(contents, "/copy")
            assert [e for e in box.log() if e["status"] == 429] == []


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A server of this test alone, to be taken away and brought back."""
    with EmulatorProcess(tmp_path / "server") as process:
        yield process


def test_without_a_server_work_goes_on_and_is_sent_when_it_is_back(own_server: EmulatorProcess, tmp_path: Path) -> None:
    box = Box(own_server.url)
    box.makedirs("/a")
    for name in ("read", "edited", "renamed", "deleted"):
        box.upload(f"/a/{name}", name.encode())
    with Mounted(own_server.url, tmp_path / "home", options=["drain_timeout=2"]) as drive:
        run("cat", *(str(drive.path / "a" / n) for n in ("read", "edited")))
        own_server.kill()
        began = time.monotonic()
        assert sorted(os.listdir(drive.path / "a")) == ["deleted", "edited", "read", "renamed"]
        assert (drive.path / "a/read").read_bytes() == b"read"
        os.statvfs(drive.path)
        (drive.path / "a/edited").write_bytes(b"edited offline")
        (drive.path / "a/new").write_bytes(b"new offline")
        os.rename(drive.path / "a/renamed", drive.path / "a/renamed again")
        os.unlink(drive.path / "a/deleted")
        shown = sorted(os.listdir(drive.path / "a"))
        assert shown == ["edited", "new", "read", "renamed again"]
        # None of this asks Box; the bound is many times what even a loaded machine needs, and far below a time-out.
        assert time.monotonic() - began < 20
        drive.unmount()
        drive.start()  # still without a server
        assert sorted(os.listdir(drive.path / "a")) == shown
        assert (drive.path / "a/new").read_bytes() == b"new offline"
        own_server.start()
        expected = {"/a/edited", "/a/new", "/a/read", "/a/renamed again"}
        eventually(lambda: set(box.files()) == expected and box.read("/a/edited") == b"edited offline", "all is sent")
        box.upload("/a/theirs", b"theirs")
        eventually(lambda: (drive.path / "a/theirs").exists(), "it hears of changes again")
    box.close()


HONEST = (errno.EIO, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EAGAIN)
"""What says "I could not ask", and never "it is gone" or "it is empty"."""


def goes_on(known: Path, when: str) -> None:
    """What is known is listed and read, and more is written."""
    before = set(os.listdir(known))
    assert {"read", "unread"} <= before
    assert (known / "read").read_bytes() == b"read" * 1000
    os.statvfs(known)
    (known / when).write_text(when)
    assert set(os.listdir(known)) == {*before, when}


def test_a_silent_server_costs_an_error_in_time_and_nothing_that_is_known(
    own_server: EmulatorProcess, tmp_path: Path
) -> None:
    """It takes connections and says nothing, as a stopped machine behind a switch: who asks it gets an errno."""
    box = Box(own_server.url)
    for folder in ("/known", "/unknown"):
        box.makedirs(folder)
        for name in ("read", "unread"):
            box.upload(f"{folder}/{name}", name.encode() * 1000)
    with Mounted(own_server.url, tmp_path / "home", options=["timeout=4", "drain_timeout=1"]) as drive:
        os.listdir(drive.path)
        assert (drive.path / "known/read").read_bytes() == b"read" * 1000
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            asking = {
                "a listing": subprocess.Popen(["ls", drive.path / "unknown"], stdout=DEVNULL, stderr=PIPE, text=True),
                "a read": subprocess.Popen(["cat", drive.path / "known/unread"], stdout=PIPE, stderr=PIPE, text=True),
            }
            goes_on(drive.path / "known", "while they wait")
            for what, program in asking.items():
                said, errors = program.communicate(timeout=120)
                assert program.returncode != 0, f"{what}: {said}"
                assert any(os.strerror(number) in errors for number in HONEST), errors
                assert not said
            goes_on(drive.path / "known", "once they were refused")
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        whole = {"/known/read", "/known/unread", "/known/while they wait", "/known/once they were refused"}
        eventually(lambda: whole <= set(box.files()), "what was written meanwhile is sent")
        drive.sync()  # Box answers again
        assert (drive.path / "known/unread").read_bytes() == b"unread" * 1000
        assert sorted(os.listdir(drive.path / "unknown")) == ["read", "unread"]
    box.close()
