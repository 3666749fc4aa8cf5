"""rename(2) and renameat2(2)."""

import ctypes
import errno
import os
import threading
from pathlib import Path

from tests.mount.cases.register import case, fails, opened, touch

NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
_libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old: Path, new: Path, flags: int) -> None:
    if _libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@case()
def rename_moves_the_name(d: Path) -> None:
    touch(d / "a", b"x").rename(d / "b")
    assert os.listdir(d) == ["b"]
    assert (d / "b").read_bytes() == b"x"


@case()
def rename_keeps_the_inode(d: Path) -> None:
    before = touch(d / "a").stat().st_ino
    (d / "a").rename(d / "b")
    assert (d / "b").stat().st_ino == before


@case()
def rename_into_another_folder(d: Path) -> None:
    (d / "n").mkdir()
    touch(d / "a", b"x").rename(d / "n" / "b")
    assert (d / "n" / "b").read_bytes() == b"x"
    assert os.listdir(d) == ["n"]


@case()
def rename_replaces_a_file(d: Path) -> None:
    touch(d / "b", b"old")
    touch(d / "a", b"new").rename(d / "b")
    assert os.listdir(d) == ["b"]
    assert (d / "b").read_bytes() == b"new"


@case()
def rename_onto_itself_does_nothing(d: Path) -> None:
    touch(d / "a", b"x").rename(d / "a")
    assert (d / "a").read_bytes() == b"x"


@case()
def rename_of_a_missing_name_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.rename, d / "none", d / "b")


@case()
def rename_into_a_missing_folder_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, os.rename, touch(d / "a"), d / "none" / "b")


@case()
def rename_of_a_file_over_a_folder_is_eisdir(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.EISDIR, os.rename, touch(d / "a"), d / "n")


@case()
def rename_of_a_folder_over_a_file_is_enotdir(d: Path) -> None:
    (d / "n").mkdir()
    fails(errno.ENOTDIR, os.rename, d / "n", touch(d / "a"))


@case()
def rename_over_an_empty_folder_replaces_it(d: Path) -> None:
    (d / "a").mkdir()
    touch(d / "a" / "f", b"x")
    (d / "b").mkdir()
    os.rename(d / "a", d / "b")
    assert (d / "b" / "f").read_bytes() == b"x"
    assert os.listdir(d) == ["b"]


@case()
def rename_over_a_full_folder_is_enotempty(d: Path) -> None:
    (d / "a").mkdir()
    (d / "b").mkdir()
    touch(d / "b" / "f")
    fails(errno.ENOTEMPTY, os.rename, d / "a", d / "b")


@case()
def rename_of_a_folder_into_itself_is_einval(d: Path) -> None:
    (d / "a" / "b").mkdir(parents=True)
    fails(errno.EINVAL, os.rename, d / "a", d / "a" / "b" / "c")


@case()
def renamed_folder_takes_its_content_along(d: Path) -> None:
    (d / "a" / "deep").mkdir(parents=True)
    touch(d / "a" / "deep" / "f", b"x")
    os.rename(d / "a", d / "b")
    assert (d / "b" / "deep" / "f").read_bytes() == b"x"
    fails(errno.ENOENT, os.stat, d / "a" / "deep" / "f")


@case()
def open_file_goes_on_after_its_rename(d: Path) -> None:
    with opened(touch(d / "a", b"x"), os.O_RDWR) as f:
        os.rename(d / "a", d / "b")
        os.pwrite(f, b"yz", 0)
        assert os.fstat(f).st_size == 2
    assert (d / "b").read_bytes() == b"yz"


@case()
def open_file_goes_on_after_its_folder_moved(d: Path) -> None:
    (d / "n").mkdir()
    with opened(touch(d / "n" / "f", b"x"), os.O_RDWR) as f:
        os.rename(d / "n", d / "m")
        os.pwrite(f, b"yz", 0)
        assert os.fstat(f).st_size == 2
    assert (d / "m" / "f").read_bytes() == b"yz"


@case()
def working_directory_goes_along(d: Path) -> None:
    (d / "n").mkdir()
    with opened(d / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.rename(d / "n", d / "m")
        with open(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder), "wb") as f:
            f.write(b"x")
    assert (d / "m" / "f").read_bytes() == b"x"


@case()
def replaced_open_file_goes_on(d: Path) -> None:
    with opened(touch(d / "b", b"old"), os.O_RDWR) as old:
        touch(d / "a", b"new").rename(d / "b")
        assert os.pread(old, 9, 0) == b"old"
        os.pwrite(old, b"OLD!", 0)
        assert os.fstat(old).st_size == 4
        assert os.fstat(old).st_nlink == 0
        assert (d / "b").read_bytes() == b"new"
    assert os.listdir(d) == ["b"]


@case()
def rename_of_a_link_moves_the_link(d: Path) -> None:
    os.symlink("target", d / "a")
    os.rename(d / "a", d / "b")
    assert os.readlink(d / "b") == "target"


@case()
def rename_over_a_link_replaces_the_link(d: Path) -> None:
    touch(d / "target", b"keep")
    os.symlink("target", d / "l")
    touch(d / "a", b"new").rename(d / "l")
    assert not (d / "l").is_symlink()
    assert (d / "target").read_bytes() == b"keep"


@case()
def atomic_replace_shows_no_gap(d: Path) -> None:
    """Readers in a loop see the old or the new content, never a missing, empty or mixed file."""
    touch(d / "f", b"0" * 20_000)
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                found = (d / "f").read_bytes()
            except OSError as error:
                wrong.append(repr(error))
                return
            if len(found) != 20_000 or len(set(found)) != 1:
                wrong.append(f"{len(found)} bytes, {len(set(found))} kinds")
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(150):
        with opened(d / "f", os.O_RDONLY):  # so that the target is surely open
            touch(d / "temporary", b"%d" % (number % 10) * 20_000)
            os.rename(d / "temporary", d / "f")
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


@case()
def editor_backup_and_save(d: Path) -> None:
    """vim: f -> f~, new f, unlink f~."""
    touch(d / "f", b"one")
    for text in (b"two", b"three"):
        os.rename(d / "f", d / "f~")
        touch(d / "f", text)
        os.unlink(d / "f~")
        assert (d / "f").read_bytes() == text
    assert os.listdir(d) == ["f"]


@case()
def chain_of_renames(d: Path) -> None:
    touch(d / "0", b"x")
    for number in range(30):
        os.rename(d / str(number), d / str(number + 1))
    assert os.listdir(d) == ["30"]


@case()
def noreplace_moves_to_a_free_name(d: Path) -> None:
    renameat2(touch(d / "a", b"x"), d / "b", NOREPLACE)
    assert os.listdir(d) == ["b"]


@case()
def noreplace_refuses_a_taken_name(d: Path) -> None:
    touch(d / "b", b"keep")
    fails(errno.EEXIST, renameat2, touch(d / "a"), d / "b", NOREPLACE)
    assert (d / "b").read_bytes() == b"keep"


@case()
def exchange_swaps_files(d: Path) -> None:
    renameat2(touch(d / "a", b"A"), touch(d / "b", b"B"), EXCHANGE)
    assert ((d / "a").read_bytes(), (d / "b").read_bytes()) == (b"B", b"A")


@case()
def exchange_swaps_a_file_and_a_folder(d: Path) -> None:
    (d / "n").mkdir()
    touch(d / "n" / "inside", b"x")
    renameat2(touch(d / "f", b"F"), d / "n", EXCHANGE)
    assert (d / "n").read_bytes() == b"F"
    assert (d / "f" / "inside").read_bytes() == b"x"


@case()
def exchange_with_a_missing_name_is_enoent(d: Path) -> None:
    fails(errno.ENOENT, renameat2, touch(d / "a"), d / "none", EXCHANGE)


@case()
def exchange_keeps_open_files(d: Path) -> None:
    with opened(touch(d / "a", b"A"), os.O_RDWR) as a, opened(touch(d / "b", b"B"), os.O_RDWR) as b:
        renameat2(d / "a", d / "b", EXCHANGE)
        os.pwrite(a, b"AA", 0)
        assert os.pread(b, 9, 0) == b"B"
    assert (d / "b").read_bytes() == b"AA"


@case()
def exchange_and_noreplace_together_are_einval(d: Path) -> None:
    fails(errno.EINVAL, renameat2, touch(d / "a"), touch(d / "b"), EXCHANGE | NOREPLACE)
