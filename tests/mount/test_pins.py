"""Pins through a real mount: offline, after edits here and elsewhere, after a remount and a cleared cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from boxfs.cli import control
from tests.support.box import Box, EmulatorProcess
from tests.support.downloads import content
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

MIB = 1 << 20


def ask(mount: Mounted, command: str, path: str) -> dict[str, int]:
    socket = mount.socket()
    assert socket is not None
    told: dict[str, int] = control.call(socket, command, {"path": path}, timeout_s=60)
    return told


def is_here(mount: Mounted, files: dict[str, bytes]) -> bool:
    """Whether the cache holds them as they are now."""
    told = {path: ask(mount, "why", path) for path in files}
    return all(told[path]["size"] == told[path].get("cached_bytes") == len(data) for path, data in files.items())


def read(mount: Mounted, files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: (mount.path / path).read_bytes() for path in files}


def test_a_pinned_folder_is_read_without_network_after_edits_here_and_elsewhere_and_a_remount(tmp_path: Path) -> None:
    files = {"p/a": content(300_000, 1), "p/sub/b": content(3 * MIB, 2)}
    with EmulatorProcess(tmp_path / "box" / "data") as server:
        box = Box(server.url)
        box.makedirs("/p/sub")
        box.mkdir("/q")
        box.upload("/q/moved", content(40_000, 6))
        for path, data in files.items():
            box.upload(f"/{path}", data)
        with Mounted(server.url, tmp_path / "home", options=["drain_timeout=2"]) as mount:
            pinned = mount.run("pin", str(mount.path / "p"))
            assert pinned.returncode == 0, pinned.stderr
            assert is_here(mount, files)

            files["p/a"] = content(500_000, 3)
            box.new_version("/p/a", files["p/a"])
            files["p/late"] = content(70_000, 4)
            box.upload("/p/late", files["p/late"])
            files["p/mine"] = content(80_000, 5)
            (mount.path / "p/mine").write_bytes(files["p/mine"])
            files["p/moved"] = content(40_000, 6)
            os.rename(mount.path / "q/moved", mount.path / "p/moved")
            mount.sync()
            eventually(lambda: (mount.path / "p/late").exists() and is_here(mount, files), "it is kept as it is now")

            assert mount.run("cache", "clear", str(mount.path)).returncode == 0
            eventually(lambda: is_here(mount, files), "what is pinned comes again")

            mount.unmount()
            server.kill()
            mount.start()
            assert sorted(os.listdir(mount.path / "p")) == ["a", "late", "mine", "moved", "sub"]
            assert read(mount, files) == files
        box.close()


def test_readers_get_their_bytes_while_the_file_is_pinned_unpinned_and_evicted(
    box: Box, mount: Callable[..., Mounted]
) -> None:
    data = content(6 * MIB + 77)
    box.upload("/f", data)
    mounted = mount()
    eventually(lambda: (mounted.path / "f").exists(), "the file is listed")
    over = threading.Event()
    asked = 0

    def play() -> None:
        nonlocal asked
        while not over.is_set():
            for command in ("pin", "unpin", "evict"):
                ask(mounted, command, "f")
                asked += 1

    player = threading.Thread(target=play)
    player.start()
    try:
        for _ in range(8):
            with (mounted.path / "f").open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                assert b"".join(iter(lambda: file.read(300_000), b"")) == data
    finally:
        over.set()
        player.join(60)
    assert asked >= 3
    assert mounted.status()["state"] == "online"
