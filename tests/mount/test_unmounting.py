"""A mount ends soon whatever its Box does: a request that is never answered, a server that is gone, or frozen.

The time-out of the network is an hour here: what is not cut off would keep the process for longer than a test waits.
BOXFS_RUNS=60 ends so many mounts (four otherwise), each in one of these ways.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(400)]

RUNS = int(os.environ.get("BOXFS_RUNS", "4"))
OPTIONS = ["timeout=3600", "drain_timeout=1", "settle=0"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path / "server" / "data") as process:
        yield process


class Scene:
    """A mount of an account with a folder and a large file; `other` is somebody else at work there."""

    def __init__(self, server: EmulatorProcess, home: Path, *options: str) -> None:
        self.server = server
        self.other = Box(server.url)
        if not self.other.exists("/d"):
            self.other.makedirs("/d/sub")
            self.other.upload("/large", b"l" * (16 << 20))
        self.mount = Mounted(server.url, home, options=[*OPTIONS, *options])
        os.listdir(self.mount.path)
        self.helpers: list[subprocess.Popen[bytes]] = []

    def stall(self, path: str, at: str = "before", method: str = "") -> None:
        self.other.fault(do="stall", seconds=None, at=at, path=path, method=method, times=None)

    def stalled(self) -> None:
        eventually(
            lambda: any(each["fired"] for each in self.other.call("GET", "/_emulator/faults")["faults"]),
            "a request gets no answer",
        )

    def run(self, *words: str) -> subprocess.Popen[bytes]:
        out = subprocess.DEVNULL
        self.helpers.append(subprocess.Popen(words, stdout=out, stderr=out, env=self.mount.env, cwd="/"))
        return self.helpers[-1]

    def close(self) -> None:
        for helper in self.helpers:
            helper.kill()
        self.mount.close()
        for helper in self.helpers:
            helper.wait(60)
        self.other.close()


# What is under way when the mount ends


def an_upload(scene: Scene) -> None:
    scene.stall("/files/content$")
    (scene.mount.path / "a").write_text("kept")
    scene.stalled()


def the_space_of_df(scene: Scene) -> None:
    scene.mount.restart()  # which trusts what it knows, and asks only when somebody wants to know
    scene.stall("/users/me")
    os.statvfs(scene.mount.path)
    scene.stalled()


def a_listing(scene: Scene) -> None:
    scene.stall(r"/folders/\d+/items")
    scene.run("ls", str(scene.mount.path / "d"))
    scene.stalled()


def a_download(scene: Scene) -> None:
    scene.stall("/content", at="in_response", method="GET")
    scene.run("cat", str(scene.mount.path / "large"))
    scene.stalled()


def a_pin(scene: Scene) -> None:
    scene.stall("/content", method="GET")
    scene.run(sys.executable, "-m", "boxfs", "pin", str(scene.mount.path / "large"))
    scene.stalled()


def a_lock(scene: Scene) -> None:
    scene.stall(r"/files/\d+$", method="PUT")
    with (scene.mount.path / "large").open("r+b") as file:
        file.write(b"x")
        scene.stalled()


def a_frozen_server(scene: Scene) -> None:
    os.kill(scene.server.pid, signal.SIGSTOP)
    (scene.mount.path / "a").write_text("kept")


def a_server_that_is_gone(scene: Scene) -> None:
    scene.server.kill()
    (scene.mount.path / "a").write_text("kept")


Way = Callable[[Scene], None]
WAYS: list[Way] = [
    an_upload, the_space_of_df, a_listing, a_download, a_pin, a_lock, a_frozen_server, a_server_that_is_gone,
]  # fmt: skip
HELD: list[Way] = [
    a_listing,
    a_download,
]  # by a program, which the kernel does not let die before its request is answered


def end(scene: Scene, way: Way, how: str) -> None:
    if how == "umount" and way not in HELD:
        scene.run(sys.executable, "-m", "boxfs", "umount", str(scene.mount.path))
    else:
        scene.mount.signal(signal.SIGTERM)
    assert scene.mount.ended() == 0, scene.mount.log


@pytest.mark.parametrize("way", WAYS)
def test_a_mount_ends_whatever_is_under_way(way: Way, server: EmulatorProcess, tmp_path: Path) -> None:
    scene = Scene(server, tmp_path / "home", "boxlock")
    try:
        way(scene)
        end(scene, way, "umount")
    finally:
        if way is a_frozen_server:
            os.kill(server.pid, signal.SIGCONT)
        scene.close()
    if way not in (an_upload, a_frozen_server, a_server_that_is_gone):
        return
    if way is a_server_that_is_gone:
        server.start()
    box = Box(server.url)
    try:
        box.call("DELETE", "/_emulator/faults")
        with Mounted(server.url, tmp_path / "home") as again:
            again.sync()
        assert box.read("/a") == b"kept"
    finally:
        box.close()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="makes a mount namespace")
def test_a_copy_of_the_mount_elsewhere_does_not_hold_the_end_up(mounted: Mounted, box: Box) -> None:
    """A container, `unshare -m`, `ip netns exec`: whoever gets mounts of his own has a copy of ours with them."""
    (mounted.path / "a").write_text("saved")
    words = ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 3600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"ready\n"
            done = mounted.unmount()
            assert (done.returncode, box.read("/a")) == (0, b"saved"), done.stderr + mounted.log
            assert "copy of the mount" in mounted.log
        finally:
            other.kill()


@pytest.mark.parametrize("run", range(RUNS))
def test_many_ends(run: int, server: EmulatorProcess, tmp_path: Path) -> None:
    dice = random.Random(run)
    way, how = dice.choice(WAYS), dice.choice(["umount", "signal"])
    locks = way is a_lock or dice.random() < 0.5
    scene = Scene(server, tmp_path / "home", *(["boxlock"] if locks else []))
    try:
        way(scene)
        end(scene, way, how)
    finally:
        if way is a_frozen_server:
            os.kill(server.pid, signal.SIGCONT)
        scene.close()
