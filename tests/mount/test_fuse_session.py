"""Beginning and end of a mount: what is refused, signals, a killed daemon, files open at the end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.mount.cases.register import fails, opened
from tests.support.fusemount import DEADLINE_S, MemoryMount, is_mounted, needs_fuse

pytestmark = needs_fuse


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "mount"
    path.mkdir()
    return path


def refusal(path: Path, **options: object) -> str:
    mount = MemoryMount(path, **options).start(wait=False)
    try:
        event = mount.event()
        assert event["event"] == "failed", event
        assert mount.wait() == 32
        return str(event["text"])
    finally:
        mount.stop()


def test_missing_mount_point_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none")


def test_mount_point_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert "is not a folder" in refusal(tmp_path / "f")


def test_full_mount_point_is_refused_and_nonempty_mounts_over_it(place: Path) -> None:
    (place / "hidden").write_text("x")
    assert "nonempty" in refusal(place)
    with MemoryMount(place, nonempty=True):
        assert os.listdir(place) == []
    assert os.listdir(place) == ["hidden"]


def test_second_mount_on_the_same_place_is_refused(place: Path) -> None:
    with MemoryMount(place, fsname="box:/Some, folder"):
        assert "box:/Some, folder" in refusal(place, nonempty=True)


def test_option_that_libfuse_does_not_know_is_refused(place: Path) -> None:
    assert "options" in refusal(place, extra=["no_such_option_at_all"]) or not is_mounted(place)


def test_name_and_kind_are_shown_in_the_mount_table(place: Path) -> None:
    with MemoryMount(place, fsname=r"box:/A, b\c"):
        line = next(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {place} " in line)
        assert " - fuse.boxfs " in line
        assert r"box:/A,\040b\134c" in line


def test_read_only_mount_refuses_writes(place: Path) -> None:
    with MemoryMount(place, read_only=True):
        fails(errno.EROFS, os.mkdir, place / "n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_unmounts_and_ends_with_zero(place: Path, number: signal.Signals) -> None:
    with MemoryMount(place) as mount:
        (place / "f").write_text("x")
        mount.signal(number)
        assert mount.event() == {"event": "signal", "number": number}
        assert mount.event() == {"event": "unmounted"}
        assert mount.wait() == 0
        assert not is_mounted(place)
        assert mount.log == ""


def test_hangup_is_told_and_the_mount_stays(place: Path) -> None:
    with MemoryMount(place) as mount:
        mount.signal(signal.SIGHUP)
        assert mount.event() == {"event": "hangup"}
        (place / "f").write_text("x")


def test_unmount_by_somebody_else_ends_with_zero(place: Path) -> None:
    with MemoryMount(place) as mount:
        os.stat(place)
        subprocess.run(["fusermount3", "-u", str(place)], timeout=DEADLINE_S, check=True)
        assert mount.event() == {"event": "unmounted"}
        assert mount.wait() == 0


def test_open_file_goes_on_after_the_signal_until_it_is_closed(place: Path) -> None:
    with MemoryMount(place, grace_s=600) as mount:
        with opened(place / "f", os.O_RDWR | os.O_CREAT) as f:
            mount.signal(signal.SIGTERM)
            assert mount.event()["event"] == "signal"
            os.write(f, b"after the signal")
            assert os.pread(f, 99, 0) == b"after the signal"
            assert mount.process.poll() is None
        assert mount.event() == {"event": "unmounted"}
        assert mount.wait() == 0


def test_open_file_cannot_hold_the_end_up_for_ever(place: Path) -> None:
    with MemoryMount(place, grace_s=0.2) as mount:
        f = os.open(place / "f", os.O_RDWR | os.O_CREAT)
        try:
            mount.signal(signal.SIGTERM)
            assert mount.event()["event"] == "signal"
            assert mount.event() == {"event": "unmounted"}
            assert mount.wait() == 0
            fails(errno.ENOTCONN, os.write, f, b"x")
        finally:
            with suppress(OSError):  # ENOTCONN, from the flush
                os.close(f)
        assert "still open" in mount.log


def test_mount_over_the_remains_of_a_killed_one(place: Path) -> None:
    with MemoryMount(place) as first:
        (place / "f").write_text("x")
        f = os.open(place / "f", os.O_RDWR)
        first.signal(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        fails(errno.ENOTCONN, os.stat, place)
        with MemoryMount(place):
            assert os.listdir(place) == []
            assert sum(1 for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {place} " in line) == 1
        fails(errno.ENOTCONN, os.close, f)


def test_exception_before_it_is_ready_unmounts(place: Path) -> None:
    mount = MemoryMount(place, refuse_ready=True).start(wait=False)
    try:
        assert mount.wait() == 1
        assert "not ready, on purpose" in mount.log
        assert not is_mounted(place)
    finally:
        mount.stop()


def test_defect_costs_its_request_an_eio_and_is_logged_once(place: Path) -> None:
    with MemoryMount(place) as mount:
        for name in "abc":
            (place / name).write_text(name)
        mount.tell("break", "read")
        for name in "abc":
            with opened(place / name, os.O_RDONLY | os.O_DIRECT) as f:
                fails(errno.EIO, os.pread, f, 4096, 0)
        mount.tell("break")
        assert (place / "a").read_text() == "a"
    assert mount.log.count("Traceback") == 1  # read to its end only now
    assert "read of inode" in mount.log


def test_sixteen_readers_and_writers_at_once(place: Path) -> None:
    content = {name: bytes([number]) * 300_000 for number, name in enumerate("abcd")}
    wrong: list[str] = []

    def work(seed: int) -> None:
        try:
            for turn in range(15):
                name = "abcd"[(seed + turn) % 4]
                if (place / name).read_bytes() != content[name]:
                    wrong.append(f"{name} has other bytes")
                own = place / f"own-{seed}"
                own.write_bytes(b"%d" % turn * 1000)
                own.rename(place / f"moved-{seed}")
                if len((place / f"moved-{seed}").read_bytes()) != len(b"%d" % turn) * 1000:
                    wrong.append("own file is wrong")
                os.listdir(place)
        except OSError as error:
            wrong.append(repr(error))

    with MemoryMount(place) as mount:
        for name, data in content.items():
            (place / name).write_bytes(data)
        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert wrong == []
        # Releases come after close returned; unmounting waits for all of them.
        subprocess.run(["fusermount3", "-u", str(place)], timeout=DEADLINE_S, check=True)
        assert mount.event() == {"event": "unmounted"}
    assert mount.log == ""


def test_listing_brings_attributes_along(place: Path) -> None:
    with MemoryMount(place) as mount:
        for number in range(300):
            (place / str(number)).write_text("x")
        mount.change("everything")
        mount.tell("counts")
        with os.scandir(place) as entries:
            assert all(entry.stat().st_size == 1 for entry in entries)
        asked = mount.tell("counts")
        assert asked.get("getattr", 0) + asked.get("lookup", 0) < 20


def test_kernel_answers_repeated_questions_itself(place: Path) -> None:
    with MemoryMount(place) as mount:
        (place / "f").write_text("x" * 1000)
        (place / "f").read_text()
        mount.tell("counts")
        for _ in range(50):
            os.stat(place / "f")
            (place / "f").read_text()
        asked = mount.tell("counts")
        assert asked.get("read", 0) <= 2
        assert asked.get("lookup", 0) == 0
        assert asked.get("getattr", 0) <= 52  # the kernel asks for the access time after each read


def test_without_xattr_no_write_asks_for_them(place: Path) -> None:
    with MemoryMount(place, xattr=False) as mount:
        with opened(place / "f", os.O_RDWR | os.O_CREAT) as f:
            for _ in range(100):
                os.write(f, b"x")
        assert "getxattr" not in mount.tell("counts")


def test_with_xattr_only_the_first_write_asks_for_them(place: Path) -> None:
    with MemoryMount(place) as mount:
        with opened(place / "f", os.O_RDWR | os.O_CREAT) as f:
            for _ in range(100):
                os.write(f, b"x")
        assert mount.tell("counts").get("getxattr", 0) <= 2


def test_without_xattr_the_kernel_refuses_them(place: Path) -> None:
    with MemoryMount(place, xattr=False):
        (place / "f").write_text("x")
        fails(errno.EOPNOTSUPP, os.setxattr, place / "f", "user.a", b"1")
        fails(errno.EOPNOTSUPP, os.getxattr, place / "f", "user.a")


def test_security_and_system_attributes_are_refused(place: Path) -> None:
    with MemoryMount(place):
        (place / "f").write_text("x")
        for name in ("security.capability", "system.posix_acl_access", "security.selinux"):
            with pytest.raises(OSError, match=r".") as caught:
                os.getxattr(place / "f", name)
            assert caught.value.errno in (errno.EOPNOTSUPP, errno.ENODATA)


def test_long_xattr_asks_for_a_larger_buffer(place: Path) -> None:
    with MemoryMount(place):
        (place / "f").write_text("x")
        os.setxattr(place / "f", "user.long", b"v" * 20_000)
        assert os.getxattr(place / "f", "user.long") == b"v" * 20_000


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
@pytest.mark.parametrize("xattr", [True, False])
def test_change_of_owner_clears_set_user_id(place: Path, xattr: bool) -> None:
    with MemoryMount(place, xattr=xattr):
        (place / "f").write_text("x")
        os.chmod(place / "f", 0o6777)
        os.chown(place / "f", 12345, 12345)
        assert (place / "f").stat().st_mode & 0o7777 == 0o777


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("xattr", [True, False])
def test_write_by_another_user_clears_set_user_id(place: Path, xattr: bool) -> None:
    with MemoryMount(place, xattr=xattr, allow_other=True):
        (place / "f").write_text("x")
        os.chmod(place / "f", 0o6777)
        with opened(place / "f", os.O_WRONLY) as f:  # opened here, since the folders above are not everybody's
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.setgid(12345)
                    os.setuid(12345)
                    os.write(f, b"y")
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
        assert (place / "f").stat().st_mode & 0o7777 == 0o777
        os.chmod(place / "f", 0o4755)
        (place / "f").write_text("by root")
