"""READY, STOPPING and WATCHDOG reach a real socket; the parent of a background mount hears one line."""

import json
import os
import socket
from pathlib import Path

from boxfs.cli.ready import READY_FD, Parent, Systemd


def test_systemd_is_told_when_the_mount_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environ = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "20000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        systemd = Systemd(environ)
        assert environ == {}, "no child may speak in our name"
        systemd.ready("box: at /mnt")
        assert manager.recv(4096).decode() == f"READY=1\nSTATUS=box: at /mnt\nMAINPID={os.getpid()}"
        systemd.start_watchdog(lambda: True)
        assert manager.recv(4096) == b"WATCHDOG=1"
        systemd.close()
        manager.setblocking(False)
        try:
            while True:
                manager.recv(4096)
        except BlockingIOError:
            pass
        manager.settimeout(30)
        systemd.stopping("sending")
        assert manager.recv(4096) == b"STOPPING=1\nSTATUS=sending"


def test_a_mount_that_is_not_well_does_not_pat_the_watchdog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000"})
        asked: list[bool] = []

        def healthy() -> bool:
            asked.append(len(asked) >= 3)
            return asked[-1]

        systemd.start_watchdog(healthy)
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert asked[:4] == [False, False, False, True]
        systemd.close()


def test_without_systemd_nothing_is_sent() -> None:
    systemd = Systemd({})
    systemd.ready("")
    systemd.start_watchdog(lambda: True)
    systemd.close()


def test_the_parent_hears_one_line_and_then_the_end() -> None:
    read_end, write_end = os.pipe()
    environ = {READY_FD: str(write_end)}
    parent = Parent(environ)
    assert parent.waits
    assert environ == {}
    parent.tell(ready="/mnt")
    parent.tell(error="too late")
    with os.fdopen(read_end, "rb") as pipe:
        assert [json.loads(line) for line in pipe] == [{"ready": "/mnt"}]
