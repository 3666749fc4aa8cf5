"""Four programs save, rename, read and remove at once while everything is being uploaded and heard of.

Each has a folder of its own, so that what it must find there is known; one file is written to by all.  In the end Box
has exactly what was left, with no conflict copy, and the spool is empty.  BOXFS_RUNS=500 does it so many times.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from boxfs.base.types import ROOT_INO
from tests.support.drive import Drive

RUNS = int(os.environ.get("BOXFS_RUNS", "20"))
SEED = int(os.environ.get("BOXFS_SEED", "1"))
NAMES = "abcde"
STEPS = 120

Step = Callable[[str, str, str, bytes], None]


class Program(threading.Thread):
    def __init__(self, drive: Drive, number: int, seed: int) -> None:
        super().__init__(name=f"program-{number}", daemon=True)
        self.drive = drive
        self.folder = f"w{number}"
        self.number = number
        self.dice = random.Random(seed * 10 + number)
        self.files: dict[str, bytes] = {}
        self.sub = ""  # name of a folder in the folder, "" where there is none
        self.inside: dict[str, bytes] = {}
        self.trace: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.drive.mkdir(self.folder)
            for _ in range(STEPS):
                self.step()
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def step(self) -> None:
        name, other = self.dice.choice(NAMES), self.dice.choice(NAMES)
        path, files = f"{self.folder}/{name}", self.files
        data = bytes([65 + self.dice.randrange(26)]) * self.dice.randrange(200)
        steps: list[Step] = [self.write, self.write, self.replace, self.save, self.shared, self.list]
        if name in files:
            steps += [self.unlink, self.rename, self.read, self.truncate, self.append]
            if self.sub:
                steps.append(self.into)
        steps += [self.turn, self.out, self.tidy]
        what = self.dice.choice(steps)
        self.trace.append(f"{getattr(what, '__name__', what)} {name} {other} {data[:1]!r}*{len(data)}")
        what(path, name, other, data)

    def write(self, path: str, name: str, _other: str, data: bytes) -> None:
        self.drive.write(path, data)
        self.files[name] = data

    def append(self, path: str, name: str, _other: str, data: bytes) -> None:
        handle = self.drive.open(path, os.O_RDWR)
        self.drive.put(handle, data, len(self.files[name]))
        self.drive.close_handle(handle)
        self.files[name] += data

    def truncate(self, path: str, name: str, _other: str, data: bytes) -> None:
        size = len(data)
        self.drive.fs.setattr(self.drive.ino(path), size=size)
        self.files[name] = self.files[name][:size].ljust(size, b"\0")

    def unlink(self, path: str, name: str, _other: str, _data: bytes) -> None:
        self.drive.unlink(path)
        del self.files[name]

    def rename(self, path: str, name: str, other: str, _data: bytes) -> None:
        self.drive.rename(path, f"{self.folder}/{other}")
        self.files[other] = self.files.pop(name)

    def replace(self, path: str, name: str, _other: str, data: bytes) -> None:
        self.drive.write(path + ".tmp", data)
        self.drive.rename(path + ".tmp", path)
        self.files[name] = data

    def save(self, path: str, name: str, other: str, data: bytes) -> None:
        """As vim: the old one to a backup, which stays under another name at times."""
        backup = f"{self.folder}/{other}" if other != name else path + "~"
        if name in self.files:
            self.drive.rename(path, backup)
            if other != name:
                self.files[other] = self.files[name]
        self.drive.write(path, data)
        if other == name and name in self.files:
            self.drive.unlink(backup)
        self.files[name] = data

    def turn(self, _path: str, _name: str, _other: str, _data: bytes) -> None:
        """A folder is made, or goes to another name with all that is in it."""
        new = self.dice.choice("XYZ")
        if not self.sub:
            self.drive.mkdir(f"{self.folder}/{new}")
        elif new != self.sub:
            self.drive.rename(f"{self.folder}/{self.sub}", f"{self.folder}/{new}")
        self.sub = new

    def into(self, path: str, name: str, _other: str, _data: bytes) -> None:
        self.drive.rename(path, f"{self.folder}/{self.sub}/{name}")
        self.inside[name] = self.files.pop(name)

    def out(self, path: str, name: str, other: str, _data: bytes) -> None:
        if name in self.inside:
            self.drive.rename(f"{self.folder}/{self.sub}/{name}", f"{self.folder}/{other}")
            self.files[other] = self.inside.pop(name)

    def tidy(self, _path: str, _name: str, _other: str, _data: bytes) -> None:
        """As rm -r."""
        if self.sub and self.dice.random() < 0.3:
            for name in self.inside:
                self.drive.unlink(f"{self.folder}/{self.sub}/{name}")
            self.drive.rmdir(f"{self.folder}/{self.sub}")
            self.sub, self.inside = "", {}

    def read(self, path: str, name: str, _other: str, _data: bytes) -> None:
        assert self.drive.read(path) == self.files[name]

    def list(self, _path: str, _name: str, _other: str, _data: bytes) -> None:
        assert self.drive.ls(self.folder) == sorted([*self.files, *([self.sub] if self.sub else [])])

    def shared(self, _path: str, _name: str, _other: str, _data: bytes) -> None:
        mine = bytes([48 + self.number]) * 10
        handle = self.drive.open("shared", os.O_RDWR)
        self.drive.put(handle, mine, self.number * 10)
        assert self.drive.get(handle, self.number * 10, 10) == mine
        self.drive.close_handle(handle)


@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
def test_programs_at_once_leave_at_box_what_they_left_here(tmp_path: Path, seed: int) -> None:
    drive = Drive(tmp_path, real_time=True, settle_s=0.01)
    with contextlib.closing(drive):
        try:
            play(drive, seed)
        finally:
            drive.sync.stop(60)
    drive.spool.clear_out()
    assert drive.spooled() == []


def play(drive: Drive, seed: int) -> None:
    drive.write("shared", b"-" * 40)
    drive.fs.start()
    drive.sync.start()
    programs = [Program(drive, number, seed) for number in range(4)]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
    assert [(program.error, program.trace) for program in programs if program.error] == []
    end = drive.sync.barrier(None, timeout_s=120, patient=True)
    assert end.done, end
    assert drive.sync.stop(60)
    expected: dict[str, bytes | None] = {"shared": drive.read("shared")}
    for program in programs:
        expected[program.folder] = None
        expected.update({f"{program.folder}/{name}": data for name, data in program.files.items()})
        if program.sub:
            expected[f"{program.folder}/{program.sub}"] = None
            expected.update({f"{program.folder}/{program.sub}/{name}": data for name, data in program.inside.items()})
    same("Box", drive.remote.box.tree(), expected, programs)
    here: dict[str, bytes | None] = {}
    for node in drive.tree.descendants(ROOT_INO):
        path = drive.tree.path(node.ino)
        assert path is not None
        here[path] = None if node.is_folder else drive.read(path)
    same("the mount", here, expected, programs)


def same(
    where: str, found: dict[str, bytes | None], expected: dict[str, bytes | None], programs: list[Program]
) -> None:
    wrong = {p: (found.get(p), expected.get(p)) for p in {*found, *expected} if found.get(p) != expected.get(p)}
    assert not wrong, (where, wrong, [p.trace for p in programs if any(k.startswith(p.folder) for k in wrong)])
