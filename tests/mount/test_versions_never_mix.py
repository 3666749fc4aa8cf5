"""A reader sees one version of a file, never a mix: through a whole boxfs, with the kernel's page cache in between."""

from __future__ import annotations

import errno
import mmap
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.cases.register import opened
from tests.support.box import Box
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

SIZE = 3 << 20
STEPS = int(os.environ.get("BOXFS_READER_STEPS", "10000"))
# Read by Python before the mount begins: news are asked for as they come, and not with a second between.
AT_ONCE = "from boxfs.core.hearing import Hearing; Hearing.__init__.__kwdefaults__['gap_s'] = 0.0"
SIZES = (400, 200_000, 200_000, 1_300_000, 1_300_000, 2_500_000)


def starts(path: Path, with_: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(with_)) == with_


@pytest.mark.parametrize("size", [SIZE, SIZE // 4, 2 * SIZE], ids=["same", "shorter", "longer"])
def test_reader_and_opener_see_one_version_each(emulator_of_module: Box, tmp_path: Path, size: int) -> None:
    box, name = emulator_of_module, f"big-{size}.bin"
    box.upload(f"/{name}", b"1" * SIZE)
    with Mounted(box.url, tmp_path) as mount:
        path = mount.path / name
        with opened(path, os.O_RDONLY) as old:
            assert set(os.pread(old, SIZE // 2, 0)) == {ord("1")}
            box.new_version(f"/{name}", b"2" * size)
            eventually(lambda: path.stat().st_size == size and starts(path, b"2"), "the new version")
            assert os.pread(old, SIZE, SIZE // 2) == b"1" * (SIZE // 2)
            assert path.read_bytes() == b"2" * size
            assert os.pread(old, 2 * SIZE, 0) == b"1" * SIZE
            assert os.fstat(old).st_size == SIZE
        assert path.read_bytes() == b"2" * size


@dataclass
class Handle:
    fd: int
    version: int | None = None  # which one it gives, once it was read
    size: int | None = None


def number_of(data: bytes) -> int:
    """The one version that the bytes are of: each is its number over and over, four bytes long."""
    number = int.from_bytes(data[:4], "big")
    assert data == number.to_bytes(4, "big") * (len(data) // 4), "two versions in one read"
    return number


def mapped(handle: Handle, at: int, length: int) -> bytes | None:
    """The same by mmap; None where there is nothing to map, or it passes the kernel's pages by (fuse/operations.py)."""
    whole = os.fstat(handle.fd).st_size
    try:
        with mmap.mmap(handle.fd, whole, prot=mmap.PROT_READ) as view:
            return view[at : at + length]
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    except ValueError:  # it is empty
        assert whole == 0
    return None


def read(handle: Handle, dice: random.Random, sizes: dict[int, int]) -> None:
    at = dice.randrange(0, max(SIZES)) & ~3
    length = dice.choice((4, 4096, 131_072, 1_000_000))
    data = mapped(handle, at, length) if dice.random() < 0.2 else None
    if data is None:
        data = os.pread(handle.fd, length, at)
    if data:
        number = number_of(data)
        handle.version = number if handle.version is None else handle.version
        assert number == handle.version
    if handle.version is not None:
        assert len(data) == max(0, min(length, sizes[handle.version] - at))
        assert os.fstat(handle.fd).st_size == sizes[handle.version]


def test_no_handle_gives_two_versions_whatever_is_saved_elsewhere_meanwhile(
    emulator_of_module: Box, tmp_path: Path
) -> None:
    """Random saves, opens, reads, maps, closes and dropped pages, in any order.

    BOXFS_READER_STEPS=100000: so many instead of 10,000.
    """
    box, dice = emulator_of_module, random.Random(5)
    sizes = {0: SIZES[-1]}
    box.upload("/f", bytes(SIZES[-1]))
    handles: list[Handle] = []
    seen: set[int | None] = set()
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(AT_ONCE)
    python = os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    with Mounted(box.url, tmp_path / "home", env={"PYTHONPATH": python}) as mount:
        path = mount.path / "f"
        eventually(path.exists, "the file is listed")
        try:
            for _ in range(STEPS):
                match dice.choices(range(6), weights=(3, 10, 60, 8, 8, 4))[0]:
                    case 0:
                        number = len(sizes)
                        sizes[number] = dice.choice(SIZES)
                        box.new_version("/f", number.to_bytes(4, "big") * (sizes[number] // 4))
                    case 1 if len(handles) < 8:
                        handles.append(Handle(os.open(path, os.O_RDONLY)))
                    case 2 | 3 if handles:
                        handle = dice.choice(handles)
                        read(handle, dice, sizes)
                        seen.add(handle.version)
                    case 4 if handles:
                        os.close(handles.pop(dice.randrange(len(handles))).fd)
                    case 5 if handles:
                        os.posix_fadvise(dice.choice(handles).fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            for handle in handles:
                os.close(handle.fd)
        last = max(sizes).to_bytes(4, "big") * (sizes[max(sizes)] // 4)
        eventually(lambda: path.read_bytes() == last, "the last version")
    assert len(seen) > STEPS / 500
