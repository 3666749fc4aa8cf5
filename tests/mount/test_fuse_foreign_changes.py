"""Changes made by somebody else: the kernel keeps everything for an hour, and must drop what it is told of.

Each promise has its other half: without the notice the old state stays, so the notice is what the test sees.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mount.cases.register import fails, opened
from tests.support.fusemount import MemoryMount, needs_fuse

pytestmark = needs_fuse


@pytest.fixture(scope="module", params=[{}, {"epoch": False}], ids=["epoch", "list-of-names"])
def mount(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryMount]:
    options: dict[str, Any] = {"negative_timeout_s": 3600, **request.param}
    with MemoryMount(tmp_path_factory.mktemp("foreign"), **options) as mounted:
        yield mounted
    assert mounted.log == ""


@pytest.fixture
def place(mount: MemoryMount, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own."""
    path: Path = mount.path / request.node.name
    path.mkdir()
    return path


def below(mount: MemoryMount, path: Path) -> str:
    return str(path.relative_to(mount.path))


def test_new_content_is_seen_when_told_of(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    assert file.read_text() == "one"
    os.stat(file)  # the kernel asks for attributes after a read or write; from here on it believes that it has them
    mount.tell("quietly", "write", below(mount, file), "longer")
    assert file.stat().st_size == 3
    mount.change("write", below(mount, file), "longest")
    assert file.stat().st_size == 7
    assert file.read_text() == "longest"


@pytest.mark.parametrize("size", [4 << 20, 100_000, 6 << 20], ids=["same", "shorter", "longer"])
def test_reader_and_opener_see_one_version_each(mount: MemoryMount, place: Path, size: int) -> None:
    """The kernel has one set of pages for an inode: those of two versions must not mix."""
    file, half, whole = place / f"f{size}", 2 << 20, 4 << 20
    file.write_bytes(b"1" * whole)
    with opened(file, os.O_RDONLY) as old, mmap.mmap(old, 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
        assert set(os.pread(old, half, 0)) == {ord("1")}
        number = os.fstat(old).st_ino
        mount.change("write", below(mount, file), "2" * size)
        assert file.stat().st_size == size
        assert os.fstat(old).st_size == whole
        assert os.pread(old, 2 * whole, half) == b"1" * half
        assert file.read_bytes() == b"2" * size
        assert os.pread(old, 2 * whole, 0) == b"1" * whole
        assert mapped[:] == b"1" * whole
        with opened(file, os.O_RDONLY) as new:
            assert os.pread(new, 2 * size, 0) == b"2" * size
            mount.change("write", below(mount, file), "3" * size)
            assert file.read_bytes() == b"3" * size
            assert os.pread(new, 2 * size, 0) == b"2" * size
            assert os.pread(old, 2 * whole, 0) == b"1" * whole
        assert file.stat().st_ino == number
    assert file.read_bytes() == b"3" * size
    file.write_bytes(b"mine")
    assert file.read_bytes() == b"mine"
    mount.change("write", below(mount, file), "4")
    assert file.read_bytes() == b"4"


def test_version_that_came_unannounced_never_mixes_with_the_one_that_is_open(mount: MemoryMount, place: Path) -> None:
    file, size = place / "f", 1 << 20
    file.write_bytes(b"1" * size)
    with opened(file, os.O_RDONLY) as old:
        os.pread(old, size // 2, 0)
        mount.tell("quietly", "write", below(mount, file), "2" * size)
        with opened(file, os.O_RDONLY) as new:
            assert os.pread(new, size, 0) == b"2" * size
            assert os.pread(old, size, 0) == b"1" * size
            assert os.pread(new, size, 0) == b"2" * size


def test_file_that_changes_all_the_time_is_never_seen_mixed(mount: MemoryMount, place: Path) -> None:
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
            mount.tell("write", below(mount, file), f"{number % 10}" * size)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert mount.tell("settle")
    assert file.read_bytes() == b"9" * size


def test_longer_and_shorter_content_is_seen_whole(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    for text in ("longer than before", "short", "", "x" * 200_000, "end"):
        mount.change("write", below(mount, file), text)
        assert file.stat().st_size == len(text)
        assert file.read_text() == text


def test_changed_attributes_are_seen(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    mount.change("chmod", below(mount, file), 0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def test_removed_file_is_gone(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    mount.change("remove", below(mount, file))
    fails(errno.ENOENT, os.stat, file)
    assert os.listdir(place) == []


def test_removed_file_that_the_kernel_still_believes_in_can_be_made_again(mount: MemoryMount, place: Path) -> None:
    """ESTALE from open: the kernel drops the name, looks again, and creates."""
    file = place / "f"
    file.write_text("one")
    mount.tell("quietly", "remove", below(mount, file))
    file.write_text("two")
    assert file.read_text() == "two"


def test_open_of_a_file_that_has_gone_unannounced_is_enoent(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    mount.tell("quietly", "remove", below(mount, file))
    fails(errno.ENOENT, os.open, file, os.O_RDONLY)


def test_removed_open_file_is_read_on(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    file.write_text("one")
    with opened(file, os.O_RDONLY) as f:
        mount.change("remove", below(mount, file))
        assert os.pread(f, 9, 0) == b"one"
        assert os.fstat(f).st_nlink == 0


def test_new_file_is_seen_where_its_absence_was_kept(mount: MemoryMount, place: Path) -> None:
    file = place / "f"
    fails(errno.ENOENT, os.stat, file)
    mount.tell("quietly", "write", below(mount, file), "one")
    fails(errno.ENOENT, os.stat, file)
    mount.tell("quietly", "remove", below(mount, file))
    mount.change("write", below(mount, file), "two")
    assert file.read_text() == "two"


def test_new_file_is_listed(mount: MemoryMount, place: Path) -> None:
    assert os.listdir(place) == []
    mount.change("write", below(mount, place / "f"), "one")
    assert os.listdir(place) == ["f"]


def test_renamed_file_is_at_its_new_name_only(mount: MemoryMount, place: Path) -> None:
    (place / "a").write_text("one")
    with opened(place / "a", os.O_RDONLY) as f:
        fails(errno.ENOENT, os.stat, place / "b")
        mount.change("rename", below(mount, place / "a"), below(mount, place / "b"))
        fails(errno.ENOENT, os.stat, place / "a")
        assert (place / "b").read_text() == "one"
        assert os.fstat(f).st_ino == (place / "b").stat().st_ino


def test_file_replaced_by_a_rename_is_the_other_file(mount: MemoryMount, place: Path) -> None:
    (place / "a").write_text("aaa")
    (place / "b").write_text("bb")
    with opened(place / "b", os.O_RDONLY) as old:
        mount.change("rename", below(mount, place / "a"), below(mount, place / "b"))
        assert (place / "b").read_text() == "aaa"
        assert os.pread(old, 9, 0) == b"bb"
        assert os.fstat(old).st_size == 2


def test_moved_folder_takes_all_below_along(mount: MemoryMount, place: Path) -> None:
    (place / "n" / "deep").mkdir(parents=True)
    (place / "n" / "deep" / "f").write_text("one")
    with opened(place / "n" / "deep" / "f", os.O_RDONLY) as f:
        mount.change("rename", below(mount, place / "n"), below(mount, place / "m"))
        fails(errno.ENOENT, os.stat, place / "n" / "deep" / "f")
        assert (place / "m" / "deep" / "f").read_text() == "one"
        assert os.fstat(f).st_size == 3


def test_folder_replaced_by_a_file_and_back(mount: MemoryMount, place: Path) -> None:
    (place / "x").mkdir()
    (place / "x" / "f").write_text("inside")
    mount.tell("remove", below(mount, place / "x"))
    mount.change("write", below(mount, place / "x"), "a file now")
    assert (place / "x").read_text() == "a file now"
    mount.tell("remove", below(mount, place / "x"))
    mount.change("mkdir", below(mount, place / "x"))
    assert os.listdir(place / "x") == []


def test_removed_working_directory(mount: MemoryMount, place: Path) -> None:
    (place / "n").mkdir()
    with opened(place / "n", os.O_RDONLY | os.O_DIRECTORY) as folder:
        mount.change("remove", below(mount, place / "n"))
        with pytest.raises(OSError, match=r".") as caught:
            os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        assert caught.value.errno in (errno.ENOENT, errno.ESTALE)
    assert not (place / "n").exists()


def test_when_everything_may_have_changed_every_name_is_looked_up_again(mount: MemoryMount, place: Path) -> None:
    for name in ("stays", "goes", "moves"):
        (place / name).write_text(name)
        os.stat(place / name)  # the kernel asks for attributes after a write; from here on it believes that it has them
    with opened(place / "stays", os.O_RDONLY) as f, opened(place, os.O_RDONLY | os.O_DIRECTORY) as folder:
        mount.tell("quietly", "remove", below(mount, place / "goes"))
        mount.tell("quietly", "rename", below(mount, place / "moves"), below(mount, place / "moved"))
        assert (place / "goes").exists()
        assert (place / "moves").exists()
        mount.change("everything")
        fails(errno.ENOENT, os.stat, place / "goes")
        fails(errno.ENOENT, os.stat, place / "moves")
        assert (place / "moved").read_text() == "moves"
        assert os.pread(f, 9, 0) == b"stays"
        assert os.stat("stays", dir_fd=folder).st_ino == os.fstat(f).st_ino


def test_notices_and_requests_of_the_same_names_never_wait_for_each_other(mount: MemoryMount, place: Path) -> None:
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
                mount.tell("write", below(mount, place / name), str(number))
            mount.tell("everything")
        assert mount.tell("settle")
    finally:
        stop.set()
        for user in users:
            user.join()
    assert wrong == []
