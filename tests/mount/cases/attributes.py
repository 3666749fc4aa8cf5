"""Modes, owners, times, extended attributes, statvfs, access, locks."""

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from tests.mount.cases.register import case, fails, mode, opened, touch

EIGHTEEN = 10**18


@case()
def chmod_sets_the_bits(d: Path) -> None:
    touch(d / "f")
    for bits in (0o600, 0o755, 0o000, 0o777, 0o640):
        os.chmod(d / "f", bits)
        assert mode(d / "f") == bits


@case()
def chmod_of_a_folder(d: Path) -> None:
    (d / "n").mkdir()
    os.chmod(d / "n", 0o700)
    assert mode(d / "n") == 0o700


@case()
def fchmod_through_a_descriptor(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDONLY) as f:
        os.fchmod(f, 0o640)
        assert stat.S_IMODE(os.fstat(f).st_mode) == 0o640


@case()
def chmod_follows_a_link(d: Path) -> None:
    touch(d / "f")
    os.symlink("f", d / "l")
    os.chmod(d / "l", 0o600)
    assert mode(d / "f") == 0o600


@case()
def chmod_of_a_missing_file_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.chmod, d / "none", 0o600)


@case()
def chmod_moves_ctime_but_not_mtime(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN))
    before = os.stat(d / "f")
    time.sleep(0.02)  # longer than a tick of the clock that stamps files
    os.chmod(d / "f", 0o600)
    after = os.stat(d / "f")
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_ctime_ns > before.st_ctime_ns


@case("root")
def set_id_bits_are_kept(d: Path) -> None:
    os.chmod(touch(d / "f"), 0o6755)
    assert mode(d / "f") == 0o6755


@case("root", "mknod")
def chown_takes_set_id_bits_from_all_but_folders(d: Path) -> None:
    os.mkfifo(d / "p")
    (d / "n").mkdir()
    for each in (touch(d / "f"), d / "p", d / "n"):
        os.chmod(each, 0o6755)
        os.chown(each, 1234, 1234)
    assert (mode(d / "f"), mode(d / "p"), mode(d / "n")) == (0o755, 0o755, 0o6755)


@case()
def sticky_bit_of_a_folder_is_kept(d: Path) -> None:
    (d / "n").mkdir()
    os.chmod(d / "n", 0o1777)
    assert mode(d / "n") == 0o1777


@case("root")
def chown_sets_owner_and_group(d: Path) -> None:
    os.chown(touch(d / "f"), 1234, 5678)
    found = os.stat(d / "f")
    assert (found.st_uid, found.st_gid) == (1234, 5678)


@case("root")
def chown_of_one_keeps_the_other(d: Path) -> None:
    touch(d / "f")
    os.chown(d / "f", 1234, -1)
    os.chown(d / "f", -1, 5678)
    found = os.stat(d / "f")
    assert (found.st_uid, found.st_gid) == (1234, 5678)


@case("root")
def lchown_changes_the_link(d: Path) -> None:
    touch(d / "f")
    os.symlink("f", d / "l")
    os.lchown(d / "l", 1234, 5678)
    assert os.lstat(d / "l").st_uid == 1234
    assert os.stat(d / "f").st_uid == os.geteuid()


@case()
def chown_to_oneself_succeeds(d: Path) -> None:
    os.chown(touch(d / "f"), os.geteuid(), os.getegid())


@case()
def utime_sets_both_times(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN + 5 * 10**9))
    found = os.stat(d / "f")
    assert (found.st_atime_ns, found.st_mtime_ns) == (EIGHTEEN, EIGHTEEN + 5 * 10**9)


@case()
def utime_keeps_nanoseconds(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(EIGHTEEN + 123_456_789, EIGHTEEN + 987_654_321))
    assert os.stat(d / "f").st_mtime_ns == EIGHTEEN + 987_654_321


@case()
def utime_now_is_about_now(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN))
    before = time.time()
    os.utime(d / "f")
    assert before - 2 <= os.stat(d / "f").st_mtime <= time.time() + 2


@case()
def utime_before_1970(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(-(10**9), -(10**9) * 86400))
    assert os.stat(d / "f").st_mtime_ns == -(10**9) * 86400


@case()
def utime_far_in_the_future(d: Path) -> None:
    touch(d / "f")
    os.utime(d / "f", ns=(0, 4_000_000_000 * 10**9))
    assert os.stat(d / "f").st_mtime == 4_000_000_000


@case("folder_times")
def utime_of_a_folder(d: Path) -> None:
    (d / "n").mkdir()
    os.utime(d / "n", ns=(EIGHTEEN, EIGHTEEN))
    assert os.stat(d / "n").st_mtime_ns == EIGHTEEN


@case()
def utime_of_a_link_itself(d: Path) -> None:
    touch(d / "f")
    os.symlink("f", d / "l")
    before = os.stat(d / "f").st_mtime_ns
    os.utime(d / "l", ns=(EIGHTEEN, EIGHTEEN), follow_symlinks=False)
    assert os.lstat(d / "l").st_mtime_ns == EIGHTEEN
    assert os.stat(d / "f").st_mtime_ns == before


@case()
def utime_while_open_stays_after_close(d: Path) -> None:
    with opened(d / "f", os.O_CREAT | os.O_RDWR) as f:
        os.write(f, b"x")
        os.utime(f, ns=(EIGHTEEN, EIGHTEEN))
    assert os.stat(d / "f").st_mtime_ns == EIGHTEEN


@case()
def write_moves_mtime(d: Path) -> None:
    touch(d / "f", b"x")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN))
    with opened(d / "f", os.O_WRONLY) as f:
        os.write(f, b"y")
        assert os.fstat(f).st_mtime_ns > EIGHTEEN
    assert os.stat(d / "f").st_mtime_ns > EIGHTEEN


@case()
def truncate_moves_mtime(d: Path) -> None:
    touch(d / "f", b"xyz")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN))
    os.truncate(d / "f", 1)
    assert os.stat(d / "f").st_mtime_ns > EIGHTEEN


@case()
def reading_keeps_mtime(d: Path) -> None:
    touch(d / "f", b"xyz")
    os.utime(d / "f", ns=(EIGHTEEN, EIGHTEEN))
    (d / "f").read_bytes()
    assert os.stat(d / "f").st_mtime_ns == EIGHTEEN


@case()
def rename_keeps_mode_and_times(d: Path) -> None:
    os.chmod(touch(d / "a", b"x"), 0o640)
    os.utime(d / "a", ns=(EIGHTEEN, EIGHTEEN))
    os.rename(d / "a", d / "b")
    assert (mode(d / "b"), os.stat(d / "b").st_mtime_ns) == (0o640, EIGHTEEN)


@case()
def stat_and_fstat_agree(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDONLY) as f:
        a, b = os.stat(d / "f"), os.fstat(f)
    assert (a.st_ino, a.st_dev, a.st_size, a.st_mtime_ns) == (b.st_ino, b.st_dev, b.st_size, b.st_mtime_ns)


@case()
def inode_numbers_differ(d: Path) -> None:
    numbers = {touch(d / str(number)).stat().st_ino for number in range(50)}
    assert len(numbers) == 50


@case()
def inode_numbers_stay(d: Path) -> None:
    before = touch(d / "f").stat().st_ino
    touch(d / "f", b"more")
    os.chmod(d / "f", 0o600)
    assert os.stat(d / "f").st_ino == before


@case()
def access_of_what_is_there(d: Path) -> None:
    os.chmod(touch(d / "f"), 0o600)
    assert os.access(d / "f", os.F_OK)
    assert os.access(d / "f", os.R_OK | os.W_OK)


@case()
def access_of_what_is_missing(d: Path) -> None:
    assert not os.access(d / "none", os.F_OK)


@case()
def statvfs_makes_sense(d: Path) -> None:
    found = os.statvfs(d)
    assert found.f_bsize > 0
    assert found.f_blocks >= found.f_bfree >= 0
    assert found.f_namemax >= 200


@case("xattr")
def xattr_is_kept(d: Path) -> None:
    touch(d / "f")
    os.setxattr(d / "f", "user.colour", b"blue")
    assert os.getxattr(d / "f", "user.colour") == b"blue"
    assert "user.colour" in os.listxattr(d / "f")


@case("xattr")
def xattr_is_replaced(d: Path) -> None:
    touch(d / "f")
    os.setxattr(d / "f", "user.colour", b"blue")
    os.setxattr(d / "f", "user.colour", b"green")
    assert os.getxattr(d / "f", "user.colour") == b"green"


@case("xattr")
def xattr_is_removed(d: Path) -> None:
    touch(d / "f")
    os.setxattr(d / "f", "user.colour", b"blue")
    os.removexattr(d / "f", "user.colour")
    fails(errno.ENODATA, os.getxattr, d / "f", "user.colour")
    fails(errno.ENODATA, os.removexattr, d / "f", "user.colour")


@case("xattr")
def xattr_missing_is_enodata(d: Path) -> None:
    fails(errno.ENODATA, os.getxattr, touch(d / "f"), "user.none")


@case("xattr")
def xattr_create_and_replace_flags(d: Path) -> None:
    touch(d / "f")
    fails(errno.ENODATA, os.setxattr, d / "f", "user.a", b"1", os.XATTR_REPLACE)
    os.setxattr(d / "f", "user.a", b"1", os.XATTR_CREATE)
    fails(errno.EEXIST, os.setxattr, d / "f", "user.a", b"2", os.XATTR_CREATE)
    os.setxattr(d / "f", "user.a", b"3", os.XATTR_REPLACE)
    assert os.getxattr(d / "f", "user.a") == b"3"


@case("xattr")
def xattr_of_a_folder_and_empty_value(d: Path) -> None:
    (d / "n").mkdir()
    os.setxattr(d / "n", "user.empty", b"")
    assert os.getxattr(d / "n", "user.empty") == b""


@case("xattr")
def xattr_through_a_descriptor(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDWR) as f:
        os.setxattr(f, "user.a", b"1")
    assert os.getxattr(d / "f", "user.a") == b"1"


@case()
def flock_excludes_another_descriptor(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDWR) as a, opened(d / "f", os.O_RDWR) as b:
        fcntl.flock(a, fcntl.LOCK_EX)
        fails(errno.EAGAIN, fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(a, fcntl.LOCK_UN)
        fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case()
def flock_is_shared_by_readers(d: Path) -> None:
    with opened(touch(d / "f"), os.O_RDWR) as a, opened(d / "f", os.O_RDWR) as b:
        fcntl.flock(a, fcntl.LOCK_SH)
        fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)


@case()
def posix_lock_excludes_another_process(d: Path) -> None:
    with opened(touch(d / "f", b"0123456789"), os.O_RDWR) as f:
        fcntl.lockf(f, fcntl.LOCK_EX, 5, 0)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with opened(d / "f", os.O_RDWR) as mine:
                    fails(errno.EAGAIN, fcntl.lockf, mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 0)
                    fcntl.lockf(mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 5)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
