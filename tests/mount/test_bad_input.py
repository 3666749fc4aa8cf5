"""What is wrong at the start is one clear line and a code of its own, never a traceback; nothing stays behind."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.box import Box, EmulatorProcess
from tests.support.mounting import Mounted

pytestmark = pytest.mark.fuse


def _unmounted(box: Box, home: Path) -> Mounted:
    return Mounted(box.url, home, start=False)


def _refused(m: Mounted, *arguments: str, code: int, message: str, **env: str) -> None:
    done = m.run("mount", "--cache-dir", str(m.cache_dir), *arguments, env=env)
    assert done.returncode == code, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("boxfs: ")
    assert message in lines[0]
    assert done.stdout == ""
    assert not os.path.ismount(m.path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "alow_other", "box:", "MNT"], "did you mean allow_other?"),
        (["-o", "settle=soon", "box:", "MNT"], "is not a duration"),
        (["--nonsense", "box:", "MNT"], "--nonsense"),
        (["MNT"], "mount what at"),
        (["nonsense", "MNT"], "is no remote"),
        (["box:", "MNT", "more"], "unexpected extra argument"),
        (["-o", "allow_other,allow_root", "box:", "MNT"], "exclude each other"),
    ],
)
def test_wrong_usage(box: Box, tmp_path: Path, arguments: list[str], message: str) -> None:
    m = _unmounted(box, tmp_path)
    _refused(m, *[str(m.path) if word == "MNT" else word for word in arguments], code=2, message=message)


def test_mount_points_that_do_not_serve(box: Box, tmp_path: Path) -> None:
    m = _unmounted(box, tmp_path)
    (m.path / "file").write_text("here")
    _refused(m, "box:", str(m.path), code=66, message="not empty")
    _refused(m, "box:", str(m.path / "file"), code=66, message="not a folder")
    _refused(m, "box:", str(tmp_path / "none"), code=66, message="does not exist")


def test_a_folder_that_is_not_at_box(box: Box, tmp_path: Path) -> None:
    box.upload("/file", b"x")
    m = _unmounted(box, tmp_path)
    _refused(m, "box:/No/Such", str(m.path), code=66, message="'No' does not exist at Box")
    _refused(m, "box:/file", str(m.path), code=66, message="'file' is not a folder at Box")


def test_a_wrong_token(box: Box, tmp_path: Path) -> None:
    m = _unmounted(box, tmp_path)
    _refused(m, "box:", str(m.path), code=77, message="refuses the token", BOXFS_TOKEN="wrong-token")
    _refused(m, "box:", str(m.path), code=77, message="boxfs login", BOXFS_TOKEN="")


def test_nobody_answers_and_nothing_is_cached(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    m = Mounted(nobody, tmp_path, start=False)
    _refused(m, "box:", str(m.path), code=69, message="cannot be reached")


def test_fuse_is_missing(box: Box, tmp_path: Path) -> None:
    m = _unmounted(box, tmp_path)
    _refused(m, "box:", str(m.path), code=72, message="apt install fuse3", PATH=str(tmp_path))


def test_a_cache_folder_that_cannot_be_written(box: Box, tmp_path: Path) -> None:
    m = _unmounted(box, tmp_path)
    (tmp_path / "file").write_text("")
    m.cache_dir = tmp_path / "file" / "cache"
    _refused(m, "box:", str(m.path), code=73, message="--cache-dir")
    m.cache_dir = Path("/proc/boxfs")  # even root cannot write there
    _refused(m, "box:", str(m.path), code=73, message="--cache-dir")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_cache_folder_on_a_full_disk(box: Box, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        m = _unmounted(box, tmp_path)
        m.cache_dir = disk / "cache"
        _refused(m, "box:", str(m.path), code=73, message="the disk is full")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_second_mount_of_the_place_or_of_the_cache_folder(mount: Callable[..., Mounted], tmp_path: Path) -> None:
    first = mount()
    other = tmp_path / "other"
    other.mkdir()
    done = first.run("mount", "--cache-dir", str(tmp_path / "c2"), "box:", str(first.path))
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
    assert "is mounted at" in done.stderr
    done = first.run("mount", "--cache-dir", str(first.cache_dir), "box:", str(other))
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
    assert f"in use by process {first.pid}" in done.stderr
    assert first.status()["state"] == "online"


def test_the_cache_folder_of_another_account_or_folder(
    mount: Callable[..., Mounted], emulator: EmulatorProcess, box: Box
) -> None:
    box.mkdir("/A")
    first = mount()
    assert first.status()["account"]["login"] == "ada@example.com"
    assert first.unmount().returncode == 0
    _refused(first, "box:/A", str(first.path), code=2, message="belongs to box:/")
    _refused(first, "box:", str(first.path), code=2, message="the token is of bob@example.com", BOXFS_TOKEN="bob-token")


def test_a_broken_configuration_file(box: Box, tmp_path: Path) -> None:
    m = _unmounted(box, tmp_path)
    (tmp_path / "config.toml").write_text("[defaults]\nsettel = 1\n")
    _refused(m, "box:", str(m.path), code=78, message="did you mean settle?")
