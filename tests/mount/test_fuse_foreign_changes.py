"""Changes made by somebody else: the kernel keeps everything for an hour, and must drop what it is told of.

Each promise has its other half: without the notice the old state stays, so the notice is what the test sees.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from pathlib import Path

import pytest

from tests.mount.cases.register import fails, opened
from tests.support.fusemount import MemoryMount, needs_fuse

pytestmark = needs_fuse


OPTIONS = {"negative_timeout_s": 3600}


@pytest.fixture
def place(memory: MemoryMount, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own."""
    path: Path = memory.path / request.node.name
    path.mkdir()
    return path


def below(memory: MemoryMount, path: Path) -> str:
    return str(path.relative_to(memory.path))


def test_new_content_is_seen_when_told_of(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    assert file.read_text() == "one"
    os.stat(file)  # the kernel asks for attributes after a read or write; from here on it believes that it has them
    memory.tell("quietly", "write", below(memory, file), "longer")
    assert file.stat().st_size == 3
    memory.change("write", below(memory, file), "longest")
    assert file.stat().st_size == 7
    assert file.read_text() == "longest"


@pytest.mark.parametrize("size", [4 << 20, 100_000, 6 << 20], ids=["same", "shorter", "longer"])
def test_reader_and_opener_see_one_version_each(memory: MemoryMount, place: Path, size: int) -> None:
    """The kernel has one set of pages for an inode: those of two versions must not mix."""
    file, half, whole = place / f"f{size}", 2 << 20, 4 << 20
    file.write_bytes(b"1" * whole)
    with opened(file, os.O_RDONLY) as old, mmap.mmap(old, 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
        assert set(os.pread(old, half, 0)) == {ord("1")}
        number = os.fstat(old).st_ino
        memory.change("write", below(memory, file), "2" * size)
        assert file.stat().st_size == size
        assert os.fstat(old).st_size == whole
        assert os.pread(old, 2 * whole, half) == b"1" * half
        assert file.read_bytes() == b"2" * size
        assert os.pread(old, 2 * whole, 0) == b"1" * whole
        assert mapped[:] == b"1" * whole
        with opened(file, os.O_RDONLY) as new:
            assert os.pread(new, 2 * size, 0) == b"2" * size
            memory.change("write", below(memory, file), "3" * size)
            assert file.read_bytes() == b"3" * size
            assert os.pread(new, 2 * size, 0) == b"2" * size
            assert os.pread(old, 2 * whole, 0) == b"1" * whole
        assert file.stat().st_ino == number
    assert file.read_bytes() == b"3" * size
    file.write_bytes(b"mine")
    assert file.read_bytes() == b"mine"
    memory.change("write", below(memory, file), "4")
    assert file.read_bytes() == b"4"


def test_version_that_came_unannounced_never_mixes_with_the_one_that_is_open(memory: MemoryMount, place: Path) -> None:
    file, size = place / "f", 1 << 20
    file.write_bytes(b"1" * size)
    with opened(file, os.O_RDONLY) as old:
        os.pread(old, size // 2, 0)
        memory.tell("quietly", "write", below(memory, file), "2" * size)
        with opened(file, os.O_RDONLY) as new:
            assert os.pread(new, size, 0) == b"2" * size
            assert os.pread(old, size, 0) == b"1" * size
            assert os.pread(new, size, 0) == b"2" * size


def test_file_that_changes_all_the_time_is_never_seen_mixed(memory: MemoryMount, place: Path) -> None:
    file, size = place / "f", 200_000
    file.write_bytes(b"0" * size)
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = file.read_bytes()
            if len(found) != size or len(set(found)) != 1:
                wrong.append(f"{len(found)} bytes of {sorted(set(found))}")
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(100):
            memory.tell("write", below(memory, file), f"{number % 10}" * size)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert memory.tell("settle")
    assert file.read_bytes() == b"9" * size


def test_longer_and_shorter_content_is_seen_whole(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    for text in ("longer than before", "short", "", "x" * 200_000, "end"):
        memory.change("write", below(memory, file), text)
        assert file.stat().st_size == len(text)
        assert file.read_text() == text


def test_changed_attributes_are_seen(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    memory.change("chmod", below(memory, file), 0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def test_removed_file_is_gone(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    memory.change("remove", below(memory, file))
    fails(errno.ENOENT, os.stat, file)
    assert os.listdir(place) == []


def test_removed_file_that_the_kernel_still_believes_in_can_be_made_again(memory: MemoryMount, place: Path) -> None:
    """ESTALE from open: the kernel drops the name, looks again, and creates."""
    file = place / "f"
    file.write_text("one")
    memory.tell("quietly", "remove", below(memory, file))
    file.write_text("two")
    assert file.read_text() == "two"


def test_open_of_a_file_that_has_gone_unannounced_is_enoent(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    memory.tell("quietly", "remove", below(memory, file))
    fails(errno.ENOENT, os.open, file, os.O_RDONLY)


def test_removed_open_file_is_read_on(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    with opened(file, os.O_RDONLY) as f:
        memory.change("remove", below(memory, file))
        assert os.pread(f, 9, 0) == b"one"
        assert os.fstat(f).st_nlink == 0


def test_new_file_is_seen_where_its_absence_was_kept(memory: MemoryMount, place: Path) -> None:
    file = place / "f"
    fails(errno.ENOENT, os.stat, file)
    memory.tell("quietly", "write", below(memory, file), "one")
    fails(errno.ENOENT, os.stat, file)
    memory.tell("quietly", "remove", below(memory, file))
    memory.change("write", below(memory, file), "two")
    assert file.read_text() == "two"


def test_new_file_is_listed(memory: MemoryMount, place: Path) -> None:
    assert os.listdir(place) == []
    memory.change("write", below(memory, place / "f"), "one")
    assert os.listdir(place) == ["f"]


def test_renamed_file_is_at_its_new_name_only(memory: MemoryMount, place: Path) -> None:
    (place / "a").write_text("one")
    with opened(place / "a", os.O_RDONLY) as f:
        fails(errno.ENOENT, os.stat, place / "b")
        memory.change("rename", below(memory, place / "a"), below(memory, place / "b"))
        fails(errno.ENOENT, os.stat, place / "a")
        assert (place / "b").read_text() == "one"
        assert os.fstat(f).st_ino == (place / "b").stat().st_ino


def test_file_replaced_by_a_rename_is_the_other_file(memory: MemoryMount, place: Path) -> None:
    (place / "a").write_text("aaa")
    (place / "b").write_text("bb")
    with opened(place / "b", os.O_RDONLY) as old:
        memory.change("rename", below(memory, place / "a"), below(memory, place / "b"))
        assert (place / "b").read_text() == "aaa"
        assert os.pread(old, 9, 0) == b"bb"
        assert os.fstat(old).st_size == 2


def test_moved_folder_takes_all_below_along(memory: MemoryMount, place: Path) -> None:
    (place / "n" / "deep").mkdir(parents=True)
    (place / "n" / "deep" / "f").write_text("one")
    with opened(place / "n" / "deep" / "f", os.O_RDONLY) as f:
        memory.change("rename", below(memory, place / "n"), below(memory, place / "m"))
        fails(errno.ENOENT, os.stat, place / "n" / "deep" / "f")
        assert (place / "m" / "deep" / "f").read_text() == "one"
        assert os.fstat(f).st_size == 3


def test_folder_replaced_by_a_file_and_back(memory: MemoryMount, place: Path) -> None:
    (place / "x").mkdir()
    (place / "x" / "f").write_text("inside")
    memory.tell("remove", below(memory, place / "x"))
    memory.change("write", below(memory, place / "x"), "a file now")
    assert (place / "x").read_text() == "a file now"
    memory.tell("remove", below(memory, place / "x"))
    memory.change("mkdir", below(memory, place / "x"))
    assert os.listdir(place / "x") == []


def test_removed_working_directory(memory: MemoryMount, place: Path) -> None:
    (place / "n").mkdir()
    with opened(place / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        memory.change("remove", below(memory, place / "n"))
        with pytest.raises(OSError, match=r".") as caught:
            os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        assert caught.value.errno in (errno.ENOENT, errno.ESTALE)
    assert not (place / "n").exists()


def test_when_everything_may_have_changed_every_name_is_looked_up_again(memory: MemoryMount, place: Path) -> None:
    for name in ("stays", "goes", "moves"):
        (place / name).write_text(name)
        os.stat(place / name)  # the kernel asks for attributes after a write; from here on it believes that it has them
    with opened(place / "stays", os.O_RDONLY) as f, opened(place, os.O_RDONLY | os.O_DIRECTORY) as folder:
        memory.tell("quietly", "remove", below(memory, place / "goes"))
        memory.tell("quietly", "rename", below(memory, place / "moves"), below(memory, place / "moved"))
        assert (place / "goes").exists()
        assert (place / "moves").exists()
        memory.change("everything")
        fails(errno.ENOENT, os.stat, place / "goes")
        fails(errno.ENOENT, os.stat, place / "moves")
        assert (place / "moved").read_text() == "moves"
        assert os.pread(f, 9, 0) == b"stays"
        assert os.stat("stays", dir_fd=folder).st_ino == os.fstat(f).st_ino


def test_notices_and_requests_of_the_same_names_never_wait_for_each_other(memory: MemoryMount, place: Path) -> None:
    names = [f"f{number}" for number in range(4)]
    for name in names:
        (place / name).write_text("0")
    stop = threading.Event()
    wrong: list[str] = []

    def use(name: str) -> None:
        while not stop.is_set():
            try:
                with opened(place / name, os.O_RDWR | os.O_CREAT) as f:
                    os.pread(f, 100, 0)
                    os.pwrite(f, b"x", 0)
                os.listdir(place)
                (place / f"{name}-mine").write_text("mine")
                (place / f"{name}-mine").unlink()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESTALE):  # removed by the other side just now
                    wrong.append(repr(error))
                    return

    users = [threading.Thread(target=use, args=(name,)) for name in names]
    for user in users:
        user.start()
    try:
        for number in range(60):
            for name in names:
                memory.tell("write", below(memory, place / name), str(number))
            memory.tell("everything")
        assert memory.tell("settle")
    finally:
        stop.set()
        for user in users:
            user.join()
    assert wrong == []
