"""The tools of this proof: what strace wrote is read right, and a disk forgets what it may, and keeps what it must."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.disk import (
    FOLDER,
    Disk,
    Loss,
    Name,
    Remove,
    Rename,
    Step,
    SyncFile,
    SyncFolder,
    Write,
    lay_out,
    picture,
)
from tests.crash.strace import calls


def test_calls_are_read_in_the_order_in_which_they_returned() -> None:
    log = r"""
10    openat(AT_FDCWD, "\x2f\x61\x2c", O_RDWR|O_CREAT, 0600) = 5
10    pwrite64(5, "\x68\x69", 2, 4096 <unfinished ...>
11    writev(1, [{iov_base="\x61\x62", iov_len=2}, {iov_base="\x63", iov_len=1}], 2) = 3
10    <... pwrite64 resumed>)           = 2
10    unlink("\x2f\x62")                = -1 ENOENT (No such file or directory)
10    fsync( <unfinished ...>
11    +++ exited with 0 +++
10    <... fsync resumed>5)             = 0
"""
    found = list(calls(log.splitlines()))
    assert [call.name for call in found] == ["openat", "writev", "pwrite64", "fsync"]
    assert found[0].path(1) == "/a,"
    assert found[0].number(0) == -100
    assert found[1].vector(1) == b"abc"
    assert (found[2].data(1), found[2].number(3)) == (b"hi", 4096)
    assert found[3].number(0) == 5


def left(steps: list[Step], loss: Loss, following: Step | None = None) -> dict[str, bytes | None]:
    disk = Disk({"old": b"old"})
    for step in steps:
        disk.take(step)
    return disk.left(loss, following, random.Random(1))


NEW = [Name("new", 1), Write(1, 0, b"bytes")]


@pytest.mark.parametrize(
    ("steps", "killed", "unsynced", "names"),
    [
        (NEW, {"old": b"old", "new": b"bytes"}, {"old": b"old"}, {"old": b"old", "new": b""}),
        ([*NEW, SyncFile(1)], {"old": b"old", "new": b"bytes"}, {"old": b"old", "new": b"bytes"}, None),
        (
            [*NEW, SyncFolder("")],
            {"old": b"old", "new": b"bytes"},
            {"old": b"old", "new": b""},
            {"old": b"old", "new": b""},
        ),
        ([Rename("old", "new")], {"new": b"old"}, {"old": b"old"}, {"new": b"old"}),
        ([Rename("old", "new"), SyncFolder("")], {"new": b"old"}, {"new": b"old"}, None),
        ([Remove("old")], {}, {"old": b"old"}, {}),
        ([Write(0, 1, b"XX")], {"old": b"oXX"}, {"old": b"old"}, {"old": b"old"}),
        ([Write(0, 1, None)], {"old": b"o"}, {"old": b"old"}, {"old": b"old"}),
        (
            [Name("d", FOLDER), Name("d/f", 1), SyncFile(1)],
            {"old": b"old", "d": None, "d/f": b""},
            {"old": b"old"},
            None,
        ),
    ],
)
def test_a_disk_keeps_what_was_synced(
    steps: list[Step],
    killed: dict[str, bytes | None],
    unsynced: dict[str, bytes | None],
    names: dict[str, bytes | None] | None,
) -> None:
    assert left(steps, Loss.NONE) == killed
    assert left(steps, Loss.UNSYNCED) == unsynced
    assert left(steps, Loss.BYTES) == (killed if names is None else names)


def test_a_write_may_be_cut_at_a_page() -> None:
    following = Write(0, 0, b"N" * 10_000)
    found = left([], Loss.TORN, following)["old"]
    assert found is not None
    assert len(found) in (3, 4096, 8192)


def test_by_chance_a_write_is_there_or_not() -> None:
    found = set()
    for seed in range(30):
        disk = Disk({"old": b"old"})
        disk.take(Write(0, 0, b"new"))
        found.add(disk.left(Loss.CHANCE, None, random.Random(seed))["old"])
    assert found == {b"old", b"new"}


def test_what_is_laid_out_is_found_again(tmp_path: Path) -> None:
    held = {"d": None, "d/f": b"x", "hole": bytes(100_000), "e": b""}
    lay_out(held, tmp_path / "there")
    assert picture(tmp_path / "there") == held
