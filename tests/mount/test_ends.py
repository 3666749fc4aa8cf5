"""Every way in which a mount ends, and what is true after it."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted, eventually

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(400)]


def test_umount_sends_five_hundred_pending_files_first(mounted: Mounted, box: Box) -> None:
    folder = mounted.path / "many"
    folder.mkdir()
    for number in range(500):
        (folder / f"{number:03}").write_bytes(b"%d" % number)
    done = mounted.unmount()
    assert done.returncode == 0, done.stderr
    assert "to send" in done.stderr, "progress is shown"
    assert len(box.files()) == 500
    assert not os.path.ismount(mounted.path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_sends_and_ends_well(mounted: Mounted, box: Box, number: int) -> None:
    (mounted.path / "a").write_text("saved")
    mounted.signal(number)
    assert mounted.ended() == 0
    assert not os.path.ismount(mounted.path)
    assert set(box.files()) == {"/a"}


def test_somebody_elses_unmount_lets_it_send_too(mounted: Mounted, box: Box) -> None:
    (mounted.path / "a").write_text("saved")
    subprocess.run(["fusermount3", "-u", str(mounted.path)], check=True)
    assert mounted.ended() == 0
    assert set(box.files()) == {"/a"}


def test_a_busy_mount_says_who_uses_it_and_goes_on(mounted: Mounted) -> None:
    (mounted.path / "a").write_text("a")
    with (mounted.path / "a").open() as file:
        done = mounted.unmount()
        assert done.returncode == 1
        assert f"({os.getpid()})" in done.stderr
        assert file.read() == "a"
    assert (mounted.path / "a").read_text() == "a"
    assert mounted.unmount().returncode == 0


def test_after_kill_9_the_next_mount_clears_the_place_and_has_everything(mounted: Mounted, box: Box) -> None:
    (mounted.path / "closed").write_text("kept")
    os.kill(mounted.pid, signal.SIGKILL)
    mounted.ended()
    with pytest.raises(OSError):
        os.listdir(mounted.path)
    assert "dead" in mounted.run("status").stdout
    mounted.start()
    assert (mounted.path / "closed").read_text() == "kept"
    mounted.sync()
    assert set(box.files()) == {"/closed"}


@pytest.fixture
def unplugged(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A server of this test's own, to be killed and started."""
    with EmulatorProcess(tmp_path / "server" / "data") as process:
        yield process


def test_a_stop_without_network_ends_and_the_next_mount_sends(unplugged: EmulatorProcess, tmp_path: Path) -> None:
    with Mounted(unplugged.url, tmp_path / "home") as m:
        (m.path / "before").write_text("1")
        m.sync()
        unplugged.kill()
        (m.path / "after").write_text("2")
        done = m.unmount()
        assert done.returncode == 1
        assert "sent by the next mount" in done.stderr
        assert len(done.stderr.splitlines()) <= 2

        m.start()  # without a server: what is known is shown, what is here can be read
        assert sorted(os.listdir(m.path)) == ["after", "before"]
        assert (m.path / "after").read_text() == "2"
        unplugged.start()
        m.sync()
        box = Box(unplugged.url)
        try:
            assert set(box.files()) == {"/before", "/after"}
        finally:
            box.close()


def test_the_background_mount_returns_when_it_is_ready(box: Box, tmp_path: Path) -> None:
    box.upload("/a", b"here")
    m = Mounted(box.url, tmp_path, start=False)
    try:
        done = m.run("mount", "--cache-dir", str(m.cache_dir), "-o", "ro,fsname=my box", "box:", str(m.path))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (m.path / "a").read_text() == "here"
        with pytest.raises(OSError, match="Read-only"):
            (m.path / "b").write_text("")
        assert b"my\\040box" in Path("/proc/self/mountinfo").read_bytes()
        status = m.status()
        assert status["state"] == "online"
        assert os.getsid(status["pid"]) == status["pid"], "no Ctrl-C and no closed terminal of ours ends it"
    finally:
        assert m.run("umount", str(m.path)).returncode == 0
    assert m.run("status").stdout == "no mount is running\n"
    done = m.run("umount", str(m.path))
    assert (done.returncode, done.stderr) == (66, f"boxfs: nothing is mounted at {m.path}\n")


def test_systemd_hears_ready_and_stopping_from_a_real_mount(box: Box, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with Mounted(box.url, tmp_path, env=env) as m:
            ready = manager.recv(4096).decode()
            assert ready.startswith("READY=1\n")
            assert f"MAINPID={m.pid}" in ready
            assert os.path.ismount(m.path)
            assert manager.recv(4096) == b"WATCHDOG=1"
            m.signal(signal.SIGTERM)
            while not (said := manager.recv(4096)).startswith(b"STOPPING=1"):
                assert said == b"WATCHDOG=1"
            assert m.ended() == 0


def test_a_changed_configuration_is_taken_up_without_a_remount(mounted: Mounted) -> None:
    config = mounted.home / "config.toml"
    assert mounted.status()["cache"]["limit"] == 10 << 30
    config.write_text('[defaults]\ncache_size = "1G"\n')
    eventually(lambda: mounted.status()["cache"]["limit"] == 1 << 30, "the new limit is taken up")
    config.write_text("[defaults]\nnonsense = 1\n")
    eventually(lambda: "the configuration stays as it was" in mounted.log, "the broken file is complained about")
    assert mounted.status()["cache"]["limit"] == 1 << 30


def test_a_new_token_in_the_token_file_is_taken_up(box: Box, mount: Callable[..., Mounted], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("dev-token\n")
    m = mount(options=[f"token_file={token}"], env={"BOXFS_TOKEN": ""})
    assert os.listdir(m.path) == []
    token.write_text("revoked\n")
    (m.path / "a").write_text("saved while nobody is let in")
    assert m.run("sync", "-q", str(m.path)).returncode == 1
    status = m.status()
    assert status["state"] == "offline"
    assert "log" in status["errors"][0]
    token.write_text("dev-token\n")
    m.sync()
    assert set(box.files()) == {"/a"}
    assert "dev-token" not in m.log + m.run("status").stdout
