"""unlink and rmdir, and what goes on without a name."""

import errno
import os
import shutil
import stat
from pathlib import Path

from tests.mount.cases.register import MANY, case, fails, opened, touch

RW = os.O_RDWR | os.O_CREAT


@case()
def unlink_removes_the_name(d: Path) -> None:
    touch(d / "f").unlink()
    assert not (d / "f").exists()
    assert os.listdir(d) == []


@case()
def unlink_of_a_missing_name_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.unlink, d / "none")


@case()
def unlink_of_a_folder_is_eisdir(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EISDIR, os.unlink, d / "n")


@case()
def unlink_of_a_link_keeps_its_target(d: Path) -> None:
    touch(d / "f")
    os.symlink("f", d / "l")
    os.unlink(d / "l")
    assert os.listdir(d) == ["f"]


@case()
def unlinked_file_is_read_on(d: Path) -> None:
    with opened(touch(d / "f", b"abc" * 50_000), os.O_RDONLY) as f:
        os.unlink(d / "f")
        assert os.pread(f, 200_000, 0) == b"abc" * 50_000


@case()
def unlinked_file_is_written_on(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.unlink(d / "f")
        os.write(f, b"abc")
        assert os.pread(f, 9, 0) == b"abc"
    assert os.listdir(d) == []


@case()
def unlinked_file_has_attributes(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDWR) as f:
        before = os.fstat(f)
        os.unlink(d / "f")
        after = os.fstat(f)
        assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, 3, before.st_mode)
        assert after.st_nlink == 0


@case()
def unlinked_file_is_truncated_on(d: Path) -> None:
    with opened(touch(d / "f", b"abcdef"), os.O_RDWR) as f:
        os.unlink(d / "f")
        os.ftruncate(f, 2)
        assert os.fstat(f).st_size == 2


@case()
def unlinked_file_takes_a_mode_and_times(d: Path) -> None:
    with opened(touch(d / "f", b"abcdef"), os.O_RDWR) as f:
        os.unlink(d / "f")
        os.fchmod(f, 0o600)
        os.utime(f, ns=(1_000_000_000, 2_000_000_000))
        found = os.fstat(f)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_mtime_ns == 2_000_000_000


@case()
def unlinked_file_is_opened_through_proc(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDWR) as f:
        os.unlink(d / "f")
        with opened(Path(f"/proc/self/fd/{f}"), os.O_RDONLY) as again:
            assert os.read(again, 9) == b"abc"


@case()
def unlinked_file_is_synced(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.unlink(d / "f")
        os.write(f, b"abc")
        os.fsync(f)


@case()
def name_made_again_is_another_file(d: Path) -> None:
    with opened(touch(d / "f", b"old"), os.O_RDWR) as old:
        os.unlink(d / "f")
        touch(d / "f", b"new")
        assert os.pread(old, 9, 0) == b"old"
        assert (d / "f").read_bytes() == b"new"
        os.pwrite(old, b"OLD!", 0)
        assert (d / "f").read_bytes() == b"new"
        assert os.fstat(old).st_ino != os.stat(d / "f").st_ino
    assert (d / "f").read_bytes() == b"new"


@case()
def unlinked_open_file_leaves_no_trace(d: Path) -> None:
    with opened(touch(d / "f", b"x"), os.O_RDWR):
        os.unlink(d / "f")
        assert os.listdir(d) == []
        os.rmdir(d)
    d.mkdir()


@case()
def same_name_made_and_removed_many_times(d: Path) -> None:
    for number in range(50):
        touch(d / "f", b"%d" % number)
        assert (d / "f").read_bytes() == b"%d" % number
        os.unlink(d / "f")
        fails(errno.ENOENT, os.stat, d / "f")


@case()
def rmdir_removes_an_empty_folder(d: Path) -> None:
    (d / "n").mkdir()
    os.rmdir(d / "n")
    fails(errno.ENOENT, os.stat, d / "n")


@case()
def rmdir_of_a_full_folder_is_enotempty(d: Path) -> None:
    (d / "n").mkdir()
    touch(d / "n" / "f")
    fails(errno.ENOTEMPTY, os.rmdir, d / "n")
    assert (d / "n" / "f").exists()


@case()
def rmdir_of_a_file_is_enotdir(d: Path) -> None:
    fails(errno.ENOTDIR, os.rmdir, touch(d / "f"))


@case()
def rmdir_of_a_missing_name_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.rmdir, d / "none")


@case()
def rmdir_of_dot_is_einval(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EINVAL, os.rmdir, f"{d}/n/.")


@case()
def rmdir_of_dot_dot_is_enotempty(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.ENOTEMPTY, os.rmdir, f"{d}/n/..")


@case()
def removed_folder_that_is_open_has_attributes(d: Path) -> None:
    (d / "n").mkdir()
    with opened(d / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.rmdir(d / "n")
        assert stat.S_ISDIR(os.fstat(folder).st_mode)


@case()
def removed_folder_that_is_open_is_empty(d: Path) -> None:
    (d / "n").mkdir()
    with opened(d / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.rmdir(d / "n")
        assert os.listdir(folder) == []


@case()
def nothing_is_made_in_a_removed_folder(d: Path) -> None:
    (d / "n").mkdir()
    with opened(d / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.rmdir(d / "n")
        fails(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        fails(errno.ENOENT, os.mkdir, "m", dir_fd=folder)


@case()
def open_file_in_a_removed_folder_goes_on(d: Path) -> None:
    (d / "n").mkdir()
    with opened(d / "n" / "f", RW) as f:
        os.write(f, b"abc")
        os.unlink(d / "n" / "f")
        os.rmdir(d / "n")
        os.write(f, b"def")
        assert os.pread(f, 9, 0) == b"abcdef"
        assert os.fstat(f).st_size == 6


@case()
def whole_tree_is_removed(d: Path) -> None:
    for number in range(5):
        (d / "t" / f"n{number}" / "deep").mkdir(parents=True)
        for name in range(10):
            touch(d / "t" / f"n{number}" / str(name))
    shutil.rmtree(d / "t")
    assert os.listdir(d) == []


@case()
def files_removed_while_listing(d: Path) -> None:
    for number in range(MANY):
        touch(d / f"file-{number:04d}")
    seen = 0
    with os.scandir(d) as entries:
        for entry in entries:
            os.unlink(entry.path)
            seen += 1
    assert seen == MANY
    assert os.listdir(d) == []
