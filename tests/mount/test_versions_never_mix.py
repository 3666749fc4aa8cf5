"""A reader sees one version of a file, never a mix: through a whole boxfs, with the kernel's page cache in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mount.cases.register import opened
from tests.support.box import Box
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

SIZE = 3 << 20


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
