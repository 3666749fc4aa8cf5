"""A mount that comes while the process of the last one still ends: umount(8) returns as soon as the place is free."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.box import Box
from tests.support.mounting import Mounted

pytestmark = [pytest.mark.fuse, pytest.mark.timeout(400)]


def _background(m: Mounted) -> list[str]:
    arguments = [each for each in m.arguments() if each != "--foreground"]
    return [sys.executable, "-m", "boxfs", *arguments]


def test_a_mount_right_after_umount_waits_for_the_last_process_and_says_so(mounted: Mounted, box: Box) -> None:
    (mounted.path / "a").write_text("saved")
    mounted.signal(signal.SIGSTOP)  # it has not even noticed that it is unmounted
    subprocess.run(["fusermount3", "-u", str(mounted.path)], check=True)
    again = subprocess.Popen(_background(mounted), env=mounted.env, stderr=subprocess.PIPE, text=True)
    try:
        assert again.stderr is not None
        assert again.stderr.readline() == f"boxfs: waiting for process {mounted.pid}, which is still ending\n"
        mounted.signal(signal.SIGCONT)
        assert (again.wait(60), again.stderr.read()) == (0, "")
    finally:
        again.kill()
        again.communicate()
    assert mounted.ended() == 0
    assert (mounted.path / "a").read_text() == "saved"
    assert mounted.run("umount", str(mounted.path)).returncode == 0
    assert box.read("/a") == b"saved"


def test_who_waits_takes_over_what_the_last_process_cannot_send(mount: Callable[..., Mounted], box: Box) -> None:
    m = mount(options=["drain_timeout=3600"])
    box.fault(do="stall", seconds=None, at="before", path="/files/content$", times=1)
    (m.path / "a").write_text("kept")
    subprocess.run(["fusermount3", "-u", str(m.path)], check=True)
    done = subprocess.run(_background(m), env=m.env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "is still ending" in done.stderr
    assert m.ended() == 0
    assert "sent by the next mount" in m.log
    assert (m.path / "a").read_text() == "kept"
    m.sync()
    assert box.read("/a") == b"kept"
    assert m.run("umount", str(m.path)).returncode == 0


def test_a_live_mount_keeps_its_folder(mounted: Mounted) -> None:
    other = mounted.home / "other"
    other.mkdir()
    done = mounted.run("mount", "--cache-dir", str(mounted.cache_dir), "box:", str(other))
    assert done.returncode == 75
    assert done.stderr == (
        f"boxfs: cache folder {mounted.cache_dir} is in use by process {mounted.pid}, mounted at {mounted.path}; "
        "give this one --cache-dir\n"
    )
    assert not os.path.ismount(other)


def test_who_ends_late_leaves_the_next_mount_of_the_place_its_socket(mounted: Mounted, box: Box) -> None:
    box.upload("/a", b"here")
    mounted.signal(signal.SIGSTOP)
    subprocess.run(["fusermount3", "-u", str(mounted.path)], check=True)
    with Mounted(box.url, mounted.home, cache_dir=mounted.home / "another") as other:
        mounted.signal(signal.SIGCONT)
        assert mounted.ended() == 0
        assert other.status()["pid"] == other.pid
        assert other.unmount().returncode == 0


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_mount_over_a_killed_one_takes_its_place(mount: Callable[..., Mounted], looked_at: bool) -> None:
    """Also where the kernel answers stat(2) of the dead one from what it holds."""
    m = mount()
    (m.path / "a").write_text("kept")
    if looked_at:
        os.stat(m.path)  # the last thing: a listing changes what is held
    m.signal(signal.SIGKILL)
    assert m.ended() == -signal.SIGKILL
    m.start()
    assert (m.path / "a").read_text() == "kept"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        assert [line.split()[4] for line in table].count(str(m.path)) == 1


def test_umount_of_a_killed_mount_says_what_is_kept(mount: Callable[..., Mounted]) -> None:
    m = mount(options=["settle=600"])
    (m.path / "a").write_text("kept")
    os.stat(m.path)
    m.signal(signal.SIGKILL)
    m.ended()
    done = m.run("umount", str(m.path))
    assert (done.returncode, "its process was dead" in done.stderr) == (0, True), done.stderr
    m.start()
    assert (m.path / "a").read_text() == "kept"
