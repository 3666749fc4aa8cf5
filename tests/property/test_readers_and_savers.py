"""Readers while somebody else saves: each handle gives one version whole, and an open gives the newest that was heard.

Random steps: a save at Box, the news of it, an open, a read somewhere, a close, an eviction, a damaged cache.  Each
version is one number over and over, so that any four bytes tell whose they are.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from boxfs.base.types import ROOT_FOLDER, HandleNo, Kind
from boxfs.core.reading import Reading
from boxfs.core.surroundings import version_of
from boxfs.store.blocks import Blocks
from tests.support.drive import Drive
from tests.support.memoryremote import MemoryRemote

STEPS = 5_000
SIZES = (0, 400, 200_000, 200_000, 1_300_000, 1_300_000, 1_400_000)


def bytes_of(number: int, size: int) -> bytes:
    return number.to_bytes(4) * (size // 4)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_reader_ever_sees_two_versions(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    remote = MemoryRemote()
    blocks = Blocks(tmp_path / "blocks", 16 << 20)
    reading = Reading(remote, blocks)
    drive = Drive(tmp_path / "state", remote, reading)
    try:
        _play(dice, remote, drive, reading, blocks, tmp_path / "blocks")
    finally:
        drive.close()
        reading.close()
        blocks.close()


def _play(
    dice: random.Random, remote: MemoryRemote, drive: Drive, reading: Reading, blocks: Blocks, folder: Path
) -> None:
    contents = {0: bytes_of(0, 1_300_000)}
    held = remote.box.create(Kind.FILE, ROOT_FOLDER, "f", contents[0])
    drive.incoming.list_folder(drive.ino(""))
    saved = heard = 0
    handles: dict[HandleNo, int] = {}  # which version each must give
    for _ in range(STEPS):
        match dice.choices(range(7), weights=(4, 4, 10, 60, 8, 1, 1))[0]:
            case 0:
                saved += 1
                contents[saved] = bytes_of(saved, dice.choice(SIZES))
                remote.box.overwrite(held, contents[saved])
            case 1:
                drive.hear()
                heard = saved
            case 2 if len(handles) < 6:
                handle = drive.open("f", os.O_RDONLY)
                handles[handle] = heard
            case 3 if handles:
                handle, number = dice.choice(list(handles.items()))
                size = len(contents[number])
                at = dice.randrange(0, size + 100) & ~3
                length = dice.choice((4, 4096, 131_072, 2_000_000 if dice.random() < 0.1 else 100))
                assert drive.get(handle, at, length) == contents[number][at : at + length]
            case 4 if handles:
                handle = dice.choice(list(handles))
                drive.close_handle(handle)
                del handles[handle]
            case 5:
                version = version_of(drive.node("f"))
                assert version is not None
                reading.evict(version)
            case 6:
                _damage_one(dice, folder)
                with blocks._lock:
                    blocks._open.clear()  # as if the files were opened for the first time
    for handle in handles:
        drive.close_handle(handle)


def _damage_one(dice: random.Random, folder: Path) -> None:
    """Put a rotten, cut or longer copy in the place of a cache file."""
    files = sorted(path for path in folder.rglob("*-*.*") if path.is_file())
    if not files:
        return
    path = dice.choice(files)
    with contextlib.suppress(FileNotFoundError):  # a fetch that ends just now may evict it
        rotten = bytearray(path.read_bytes())
        for _ in range(50 if rotten else 0):
            rotten[dice.randrange(len(rotten))] ^= 1
        path.unlink()
        path.write_bytes(rotten[: dice.randrange(len(rotten) * 2 + 1)])
