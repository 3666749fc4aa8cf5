"""Box's own facts and rights through the mount: user.box.*, locks, roles, space, and what is refused honestly."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import stat
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.mount.test_programs import run
from tests.support.box import OTHER_TOKEN, Box
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse


def fact(path: Path, name: str) -> str:
    return run("getfattr", "--only-values", "--absolute-names", "-n", f"user.box.{name}", str(path))


def shown(path: Path, name: str, wanted: bool) -> bool:
    return (f"user.box.{name}" in os.listxattr(path)) == wanted


def refused(number: int, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number, caught.value


def test_getfattr_tells_what_box_knows(box: Box, mount: Callable[..., Mounted]) -> None:
    box.upload("/described", b"x")
    box.update("/described", description="by hand", tags=["a", "b"], shared_link={"access": "open"})
    drive = mount()
    url = box.file("/described", "shared_link")["shared_link"]["url"]
    assert fact(drive.path / "described", "shared_link") == url
    assert fact(drive.path / "described", "description") == "by hand"
    assert fact(drive.path / "described", "tags") == "a,b"
    file = drive.path / "report.txt"
    file.write_text("hello")
    assert fact(file, "state") in ("dirty", "uploading")
    drive.sync()
    held = box.file("/report.txt")
    assert fact(file, "id") == held["id"]
    assert fact(file, "etag") == held["etag"]
    assert fact(file, "version") == held["file_version"]["id"]
    assert fact(file, "sha1") == "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
    assert fact(file, "url") == f"https://app.box.com/file/{held['id']}"
    assert "@" in fact(file, "owner")
    eventually(lambda: fact(file, "state") == "cached", "what was written here is cached here")
    assert "user.box.id=" in run("getfattr", "-d", "-m", "-", "--absolute-names", str(file))


def test_a_lock_of_others_is_shown_while_it_lasts(box: Box, mounted: Mounted) -> None:
    file = mounted.path / "f"
    file.write_text("x")
    mounted.sync()
    box.lock("/f")
    eventually(partial(shown, file, "lock", True), "the lock is heard of")
    assert box.file("/f", "lock")["lock"]["id"] in fact(file, "lock")
    box.update("/f", lock=None)
    eventually(partial(shown, file, "lock", False), "the lock has gone")


def test_setfattr_sets_what_makes_sense_and_refuses_the_rest(box: Box, mounted: Mounted) -> None:
    file = mounted.path / "f"
    file.write_text("x")
    run("setfattr", "-n", "user.box.description", "-v", "für alle", str(file))  # sends the file first
    run("setfattr", "-n", "user.box.tags", "-v", "red, blue", str(file))
    seen = box.file("/f", "description,tags")
    assert (seen["description"], seen["tags"]) == ("für alle", ["red", "blue"])
    run("setfattr", "-x", "user.box.description", str(file))
    assert not box.file("/f", "description").get("description")
    refused(errno.EPERM, os.setxattr, file, "user.box.id", b"5")
    refused(errno.EPERM, os.removexattr, file, "user.box.sha1")
    refused(errno.EOPNOTSUPP, os.setxattr, file, "trusted.x", b"5")
    run("setfattr", "-n", "user.mine", "-v", "kept", str(file))
    mounted.sync()
    assert (
        box.file("/f", "metadata.global.properties")["metadata"]["global"]["properties"]["boxfs.xattr.user.mine"]
        == "kept"
    )


@pytest.mark.parametrize("name", ["description", "tags"])
def test_setting_a_description_is_one_call(name: str, box: Box, mount: Callable[..., Mounted]) -> None:
    box.upload("/f", b"x")
    file = mount().path / "f"
    assert file.stat().st_size == 1
    box.clear_log()
    os.setxattr(file, f"user.box.{name}", b"for all")
    assert box.mount_calls() == ["PUT /2.0/files/{id}"]  # and it has been answered
    assert box.file("/f", name)[name] in ("for all", ["for all"])


def test_what_the_role_at_box_does_not_allow_is_eacces_at_open(box: Box, mount: Callable[..., Mounted]) -> None:
    box.makedirs("/shared")
    box.upload("/shared/f", b"theirs")
    bob = box.as_user(OTHER_TOKEN)
    try:
        user = bob.call("GET", "/2.0/users/me")["id"]
        body = {"item": {"type": "folder", "id": box.folder_id("/shared")}, "role": "viewer"}
        box.call("POST", "/2.0/collaborations", json={**body, "accessible_by": {"type": "user", "id": user}})
        drive = mount(token=OTHER_TOKEN)
        shared = drive.path / "shared"
        assert (shared / "f").read_bytes() == b"theirs"
        refused(errno.EACCES, os.open, shared / "f", os.O_WRONLY)
        refused(errno.EACCES, os.open, shared / "f", os.O_RDWR | os.O_TRUNC)
        refused(errno.EACCES, os.open, shared / "new", os.O_WRONLY | os.O_CREAT)
        refused(errno.EACCES, os.mkdir, shared / "d")
        refused(errno.EACCES, os.unlink, shared / "f")
        refused(errno.EACCES, os.rename, shared / "f", shared / "g")
        assert (shared / "f").read_bytes() == b"theirs"
        assert drive.status()["pending"]["items"] == 0
    finally:
        bob.close()


def test_a_read_only_mount_says_erofs_at_open(box: Box, mount: Callable[..., Mounted]) -> None:
    box.upload("/f", b"x")
    drive = mount(options=["ro"])
    refused(errno.EROFS, os.open, drive.path / "f", os.O_WRONLY)
    refused(errno.EROFS, os.open, drive.path / "g", os.O_WRONLY | os.O_CREAT)
    refused(errno.EROFS, os.mkdir, drive.path / "d")
    refused(errno.EROFS, os.setxattr, drive.path / "f", "user.box.description", b"x")
    assert (drive.path / "f").read_bytes() == b"x"


def test_a_lock_by_boxlock_is_seen_by_others_and_given_up(box: Box, mount: Callable[..., Mounted]) -> None:
    box.upload("/f", b"x")
    drive = mount(options=["boxlock", "settle=0.1"])

    def lock() -> object:
        return box.file("/f", "lock").get("lock")

    with (drive.path / "f").open("r+b") as file:
        held = eventually(lock, "the file is locked at Box")
        assert held["expires_at"]
        file.write(b"y")
    eventually(lambda: lock() is None, "the lock is given up once the file is sent")
    assert box.read("/f") == b"y"


@pytest.mark.parametrize("attributes", ["store", "auto"])
def test_special_files_live_under_attributes_store_and_links_are_refused(
    attributes: str, mount: Callable[..., Mounted]
) -> None:
    drive = mount("first", options=[f"attributes={attributes}"])
    os.mkfifo(drive.path / "fifo", 0o640)
    os.mknod(drive.path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3)) if os.geteuid() == 0 else None
    short = os.open(drive.path, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as server:  # a path of 108 bytes at most
        server.bind(f"/proc/self/fd/{short}/sock")
    os.close(short)
    (drive.path / "f").write_text("x")
    refused(errno.EPERM, os.link, drive.path / "f", drive.path / "g")
    drive.sync()
    other = mount("elsewhere", options=[f"attributes={attributes}"])
    found = {name: os.stat(other.path / name) for name in os.listdir(other.path)}
    assert stat.S_ISFIFO(found["fifo"].st_mode)
    assert stat.S_IMODE(found["fifo"].st_mode) == 0o640
    assert stat.S_ISSOCK(found["sock"].st_mode)
    if "null" in found:
        assert stat.S_ISCHR(found["null"].st_mode)
        assert found["null"].st_rdev == os.makedev(1, 3)
    without = mount("without", options=["attributes=local" if attributes == "store" else "attributes=off"])
    refused(errno.EPERM, os.mkfifo, without.path / "no")
    refused(errno.EPERM, os.symlink, "f", without.path / "no")
    if os.geteuid() == 0:
        refused(errno.EPERM, os.mknod, without.path / "no", 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def test_df_shows_the_accounts_space(box: Box, mounted: Mounted) -> None:
    account = box.call("GET", "/2.0/users/me", params={"fields": "space_amount,space_used"})

    def told() -> bool:
        # statfs counts in blocks of 4 KiB.
        found = os.statvfs(mounted.path)
        return bool(abs(found.f_blocks * found.f_frsize - account["space_amount"]) < 8192)

    eventually(told, "df learns the account's space")
    assert subprocess.run(["df", str(mounted.path)], capture_output=True, check=False).returncode == 0


def test_o_direct_reads_and_writes(mounted: Mounted) -> None:
    import mmap

    page = mmap.mmap(-1, 8192)
    page.write(b"d" * 8192)
    fd = os.open(mounted.path / "f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    try:
        assert os.pwritev(fd, [page], 0) == 8192
        back = mmap.mmap(-1, 8192)
        assert os.preadv(fd, [back], 0) == 8192
        assert back[:] == b"d" * 8192
        back.close()
    finally:
        os.close(fd)
        page.close()


def test_many_processes_append_to_one_file_and_no_line_is_lost(mounted: Mounted, box: Box) -> None:
    script = 'i=0; while [ $i -lt 100 ]; do echo "$1 $i" >> "$2"; i=$((i+1)); done'
    path = mounted.path / "log"
    writers = [subprocess.Popen(["sh", "-c", script, "sh", str(n), str(path)]) for n in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    lines = path.read_text().splitlines()
    assert sorted(lines) == sorted(f"{n} {i}" for n in range(4) for i in range(100))
    mounted.sync()
    assert box.read("/log") == path.read_bytes()


@pytest.mark.parametrize("flag", [os.O_DIRECT, os.O_SYNC], ids=["direct", "sync"])
def test_direct_and_synchronous_writes_are_there(mounted: Mounted, box: Box, flag: int) -> None:
    page = mmap.mmap(-1, 8192)  # O_DIRECT wants memory that begins with a page
    page.write(bytes(range(256)) * 32)
    file = os.open(mounted.path / "f", os.O_RDWR | os.O_CREAT | flag)
    try:
        assert os.pwritev(file, [page], 0) == os.pwritev(file, [page], 8192) == 8192
        again = mmap.mmap(-1, 8192)
        assert os.preadv(file, [again], 8192) == 8192
        assert again[:] == page[:]
    finally:
        os.close(file)
    mounted.sync()
    assert box.read("/f") == 2 * page[:]
