"""Drills: what goes wrong around a mount that runs (docs/OPERATIONS.md), each once, with the real thing."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted, MountFailed, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(400)]

DAY_S = 86400.0
_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A server of the test's own, to be stopped, killed and started."""
    with EmulatorProcess(tmp_path / "server" / "data") as process:
        yield process


@pytest.fixture
def world(server: EmulatorProcess) -> Iterator[Box]:
    """Someone else at that server."""
    client = Box(server.url)
    yield client
    client.close()


@contextlib.contextmanager
def tmpfs(place: Path, options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def robot(m: Mounted, server: EmulatorProcess) -> None:
    """Log in with a key (JWT): the way in that cares for clocks, and that renews its tokens by itself."""
    m.env["BOXFS_TOKEN"] = ""
    done = m.run("login", "robot", "--jwt", str(server.data / "box_config.json"))
    assert done.returncode == 0, done.stderr
    m.remote = "robot:"


# Signals


def test_sighup_reads_the_configuration_again_and_the_mount_goes_on(mounted: Mounted, box: Box) -> None:
    with (mounted.path / "open").open("w") as file:
        file.write("before ")
        mounted.signal(signal.SIGHUP)
        eventually(lambda: "the configuration is read again" in mounted.log, "SIGHUP is heard")
        file.write("after")
    mounted.sync()
    assert box.read("/open") == b"before after"
    assert mounted.alive


def test_a_second_signal_ends_the_waiting_for_uploads(mount: Callable[..., Mounted], box: Box) -> None:
    m = mount(options=["drain_timeout=3600"])
    box.fault(do="stall", seconds=None, at="before", path="/files/content$", times=None)
    (m.path / "a").write_text("kept")
    m.signal(signal.SIGTERM)
    eventually(lambda: not os.path.ismount(m.path), "the place is free at once")
    eventually(lambda: "to send" in m.log, "it waits for the upload")
    assert m.alive
    m.signal(signal.SIGTERM)
    assert m.ended() == 0
    assert "sent by the next mount" in m.log
    box.call("DELETE", "/_emulator/faults")
    m.start()
    m.sync()
    assert box.read("/a") == b"kept"


# Options of a running mount


def test_more_uploads_at_once_are_taken_up(mount: Callable[..., Mounted], box: Box) -> None:
    m = mount(options=["settle=0", "drain_timeout=0"])
    config = m.home / "config.toml"
    config.write_text("[defaults]\nuploads = 1\n")
    eventually(lambda: m.log.count("read again") == 1, "the file is noticed")
    box.fault(do="stall", seconds=None, at="before", path="/files/content$", times=None)

    def held() -> int:
        return int(box.call("GET", "/_emulator/faults")["faults"][0]["fired"])

    for number in range(4):
        (m.path / f"{number}").write_text("x")
    eventually(lambda: held() == 1, "one upload is under way")
    config.write_text("[defaults]\nuploads = 3\n")
    eventually(lambda: held() == 3, "two more")
    box.call("DELETE", "/_emulator/faults")


@pytest.mark.parametrize("option", ["sync = true", 'fsync = "box"'])
def test_when_a_save_waits_for_box_can_change_while_mounted(
    mount: Callable[..., Mounted], box: Box, option: str
) -> None:
    m = mount(options=["settle=3600"])

    def save(name: str) -> bool:
        with (m.path / name).open("w") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        return f"/{name}" in box.files()

    assert not save("before")
    (m.home / "config.toml").write_text(f"[defaults]\n{option}\n")
    names = iter(range(1_000_000))
    eventually(lambda: save(f"after {next(names)}"), "a save is at Box when it returns")


# Clocks, tokens


@pytest.mark.parametrize("ahead_s", [DAY_S, -DAY_S])
def test_a_clock_wrong_by_a_day(server: EmulatorProcess, world: Box, tmp_path: Path, ahead_s: float) -> None:
    world.settings(clock_offset_s=ahead_s)
    m = Mounted(server.url, tmp_path / "home", start=False)
    try:
        robot(m, server)
        m.start()
        (m.path / "a").write_text("saved")
        m.sync()
        world.settings(clock_offset_s=0.0)  # somebody sets the clock while it runs
        (m.path / "b").write_text("saved as well")
        m.sync()
        assert sorted(os.listdir(m.path)) == ["a", "b"]
        assert m.status()["state"] == "online"
        m.restart()
        assert (m.path / "a").read_text() == "saved"
    finally:
        m.close()


_AWAKE = """
import sys
with open("read", "rb") as reading, open("written", "w") as writing:
    assert reading.read(100_000)
    writing.write("one ")
    print("open", flush=True)
    sys.stdin.readline()
    writing.write("two")
    reading.seek(4_900_000)
    print("".join(map(chr, set(reading.read()))))
"""


def test_suspend_and_resume(server: EmulatorProcess, world: Box, tmp_path: Path) -> None:
    """Stopped in the middle of everything; meanwhile hours pass at Box and every connection dies."""
    world.upload("/read", b"r" * 5_000_000)
    with Mounted(server.url, tmp_path / "home") as m:
        # In a process of its own: to start another from one that has files open there would wait for the stopped mount.
        with subprocess.Popen(
            [sys.executable, "-c", _AWAKE], cwd=m.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            assert program.stdout.readline() == "open\n"
            m.signal(signal.SIGSTOP)
            try:
                server.restart()
                world.settings(clock_offset_s=3 * 3600.0)  # download URLs, sessions, rate windows: all are over
                world.upload("/made meanwhile", b"news")
                world.new_version("/read", b"s" * 5_000_000)
            finally:
                m.signal(signal.SIGCONT)
            said, _ = program.communicate("go on\n", timeout=120)
            assert said == "r\n", "a handle keeps the version that it opened"
        eventually(lambda: "made meanwhile" in os.listdir(m.path), "news is heard again")
        eventually(lambda: (m.path / "read").read_bytes() == b"s" * 5_000_000, "and the new version read")
        m.sync()
        assert world.read("/written") == b"one two"
        assert m.status()["state"] == "online"


def test_a_token_revoked_while_mounted(server: EmulatorProcess, world: Box, tmp_path: Path) -> None:
    world.upload("/cached", b"here")
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("dev-token\n")
    with Mounted(server.url, tmp_path / "home", token="", options=[f"token_file={token}"]) as m:
        assert (m.path / "cached").read_text() == "here"
        world.fault(do="status", status=401, path="^/(2.0|api)/", times=None)
        (m.path / "written").write_text("while nobody is let in")
        eventually(lambda: m.status()["state"] == "offline", "it is noticed")
        assert (m.path / "cached").read_text() == "here", "what is here can be read"
        said = m.run("status").stdout
        assert "boxfs login" in said, said
        assert m.run("sync", "-q", str(m.path)).returncode == 1
        world.call("DELETE", "/_emulator/faults")
        token.write_text("dev-token\n")  # the new one
        m.sync()
        assert world.read("/written") == b"while nobody is let in"


# The network


def test_a_stop_with_500_pending_files_and_a_network_that_swallows_everything(
    server: EmulatorProcess, world: Box, tmp_path: Path
) -> None:
    with Mounted(server.url, tmp_path / "home", options=["settle=3600"]) as m:
        for number in range(500):
            (m.path / f"{number:03}").write_bytes(b"%d" % number)
        os.kill(server.pid, signal.SIGSTOP)  # connections stand, nothing comes back: worse than a refusal
        try:
            done = m.unmount("-t", "3")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert done.returncode == 1
        assert "500 changes to send" in done.stderr
        assert "sent by the next mount" in done.stderr
        m.start()
        m.sync()
        assert len(world.files()) == 500
        assert world.read("/499") == b"499"


# What is left of a killed one


def test_a_stale_mount_point_is_shown_as_it_is_and_cleared(mounted: Mounted, box: Box) -> None:
    (mounted.path / "saved").write_text("kept")
    mounted.signal(signal.SIGKILL)
    mounted.ended()
    assert "its process is gone" in mounted.run("status").stdout
    shown = mounted.run("top").stdout
    assert "its process is gone" in shown
    assert "nothing to upload" not in shown, "what is not known is not said"
    assert "its process is dead" in mounted.run("doctor").stdout
    done = mounted.run("umount", str(mounted.path))
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert f"kept in {mounted.cache_dir}" in done.stderr
    assert mounted.run("status").stdout == "no mount is running\n"
    mounted.start()
    mounted.sync()
    assert box.read("/saved") == b"kept"


# Disks


@_root_only
def test_a_home_that_cannot_be_written(box: Box, tmp_path: Path) -> None:
    box.upload("/a", b"a")
    home = tmp_path / "readonly"
    with tmpfs(home, "ro"):
        env = {"HOME": str(home), "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "BOXFS_CONFIG": ""}
        m = Mounted(box.url, tmp_path / "home", env=env, start=False)
        try:
            m.start()  # the state is elsewhere (--cache-dir), and nothing else is written
            assert (m.path / "a").read_text() == "a"
            (m.path / "b").write_text("b")
            m.restart()
            assert box.read("/b") == b"b"
            assert m.unmount().returncode == 0
            m.cache_dir = home / "state"
            with pytest.raises(MountFailed, match="--cache-dir") as failed:
                m.start()
            assert failed.value.code == 73
            done = m.run("login", "work", "--token", env={"BOXFS_TOKEN": "dev-token"})
            assert done.returncode == 73
            assert len(done.stderr.splitlines()) == 1
        finally:
            m.close()


@_root_only
def test_a_disk_that_fills_while_mounted(box: Box, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with tmpfs(disk, "size=24m"):
        m = Mounted(box.url, tmp_path / "home", cache_dir=disk / "cache", options=["settle=3600"])
        try:
            (m.path / "safe").write_bytes(b"s" * 4_000_000)
            with pytest.raises(OSError, match="No space left") as refused:
                (m.path / "large").write_bytes(b"l" * 40_000_000)
            assert refused.value.errno == errno.ENOSPC
            assert (m.path / "safe").read_bytes() == b"s" * 4_000_000
            os.unlink(m.path / "large")
            m.sync()
            assert box.read("/safe") == b"s" * 4_000_000
            (m.path / "after").write_bytes(b"a" * 4_000_000)  # there is room again
            m.sync()
            assert box.read("/after") == b"a" * 4_000_000
            assert m.unmount().returncode == 0
        finally:
            m.close()
