"""Random operations on the file system and on a plain model of POSIX, with uploads at any moment, and deaths.

The model is a tree of Python objects; handles refer to them.  After each step both must show the same; whenever
everything was sent, Box must hold the same, and no spool file may be left over.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from boxfs.base.errors import FsError
from boxfs.base.types import HandleNo
from tests.support.drive import Drive

NAMES = ("a", "b", "c", "x.tmp")
FOLDERS = ("", "d", "d/e", "g")
BIG = 400


@dataclass
class Model:
    root: dict[str, Any] = field(default_factory=dict)  # name -> dict (folder) or File

    def folder(self, path: str) -> dict[str, Any] | None:
        at: Any = self.root
        for name in filter(None, path.split("/")):
            at = at.get(name)
            if not isinstance(at, dict):
                return None
        return at  # type: ignore[no-any-return]

    def flat(self, at: dict[str, Any] | None = None, prefix: str = "") -> dict[str, bytes | None]:
        out: dict[str, bytes | None] = {}
        for name, what in (self.root if at is None else at).items():
            if isinstance(what, dict):
                out[prefix + name] = None
                out.update(self.flat(what, prefix + name + "/"))
            else:
                out[prefix + name] = bytes(what.data)
        return out


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)


class Play:
    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.drive = Drive(folder)
        self.model = Model()
        self.handles: list[tuple[HandleNo, File, bool]] = []
        self.within = False  # a call to Box
        self.trace: list[str] = []

    def step(self) -> None:
        others = [self.send] * 5 + [self.push, self.house, self.forget, self.die]
        self.random.choice([*self.local_steps(), *others])()

    def local_steps(self) -> list[Callable[[], None]]:
        return (
            [self.write_file] * 6
            + [self.open_file] * 4
            + [self.use_handle] * 8
            + [self.close_one] * 3
            + [self.rename] * 5
            + [self.unlink] * 3
            + [self.truncate] * 2
            + [self.mkdir] * 2
            + [self.rmdir, self.copy, self.exchange]
        )

    # Choosing
    def path(self) -> str:
        folder = self.random.choice(FOLDERS)
        name = self.random.choice(NAMES)
        return f"{folder}/{name}" if folder else name

    def some_bytes(self) -> bytes:
        return bytes([self.random.randrange(65, 90)]) * self.random.choice((0, 1, 7, 50, 200))

    def place(self, path: str) -> tuple[dict[str, Any], str] | None:
        parent, _, name = path.rpartition("/")
        folder = self.model.folder(parent)
        return None if folder is None else (folder, name)

    def note(self, text: str) -> None:
        self.trace.append(text)

    # Steps
    def write_file(self) -> None:
        path, data = self.path(), self.some_bytes()
        place = self.place(path)
        if place is None or isinstance(place[0].get(place[1]), dict):
            return
        self.note(f"write {path} {len(data)}")
        self.drive.write(path, data)
        file = place[0].setdefault(place[1], File())
        file.data[:] = data

    def open_file(self) -> None:
        path = self.path()
        place = self.place(path)
        if place is None or isinstance(place[0].get(place[1]), dict) or len(self.handles) > 5:
            return
        flags = self.random.choice((os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC))
        if place[1] not in place[0]:
            flags = os.O_RDWR | os.O_CREAT
        self.note(f"open {path} {flags}")
        handle = self.drive.open(path, flags)
        file = place[0].setdefault(place[1], File())
        if flags & os.O_TRUNC:
            file.data.clear()
        self.handles.append((handle, file, bool(flags & os.O_RDWR)))

    def use_handle(self) -> None:
        if not self.handles:
            return
        handle, file, writable = self.random.choice(self.handles)
        what = self.random.choice(("read", "write", "write", "size", "flush", "zero", "seek"))
        at = self.random.randrange(BIG)
        self.note(f"{what} {handle} at {at}")
        if what == "read" or not writable:
            assert self.drive.get(handle, at, 100) == file.data[at : at + 100]
        elif what == "write":
            data = self.some_bytes()
            if data:
                self.drive.put(handle, data, at)
                put(file.data, data, at)
        elif what == "size":
            self.drive.fs.setattr(self.drive.fs.handle_ino(handle), size=at, handle=handle)
            put(file.data, b"", at)
            del file.data[at:]
        elif what == "flush":
            self.drive.fs.flush(handle)
        elif what == "zero":
            self.drive.fs.fallocate(handle, 3, at, 60)
            end = min(len(file.data), at + 60)
            if at < end:
                file.data[at:end] = bytes(end - at)
        elif at < len(file.data):
            try:
                found = self.drive.fs.seek(handle, at, os.SEEK_DATA)
            except FsError:
                found = len(file.data)
            assert not any(file.data[at:found])

    def close_one(self) -> None:
        if self.handles:
            handle, _, _ = self.handles.pop(self.random.randrange(len(self.handles)))
            self.note(f"close {handle}")
            self.drive.close_handle(handle)

    def rename(self) -> None:
        old, new = self.path(), self.path()
        source, target = self.place(old), self.place(new)
        if source is None or target is None or source[1] not in source[0]:
            return
        what, there = source[0][source[1]], target[0].get(target[1])
        if isinstance(what, dict) or isinstance(there, dict):
            return
        self.note(f"rename {old} {new}")
        self.drive.rename(old, new)
        if what is not there:
            del source[0][source[1]]
            target[0][target[1]] = what

    def exchange(self) -> None:
        old, new = self.path(), self.path()
        source, target = self.place(old), self.place(new)
        if source is None or target is None or source[1] not in source[0] or target[1] not in target[0]:
            return
        self.note(f"exchange {old} {new}")
        self.drive.rename(old, new, 2)
        source[0][source[1]], target[0][target[1]] = target[0][target[1]], source[0][source[1]]

    def unlink(self) -> None:
        path = self.path()
        place = self.place(path)
        if place is None or not isinstance(place[0].get(place[1]), File):
            return
        self.note(f"unlink {path}")
        self.drive.unlink(path)
        del place[0][place[1]]

    def truncate(self) -> None:
        path, size = self.path(), self.random.randrange(BIG)
        place = self.place(path)
        if place is None or not isinstance(place[0].get(place[1]), File):
            return
        self.note(f"truncate {path} {size}")
        self.drive.fs.setattr(self.drive.ino(path), size=size)
        data = place[0][place[1]].data
        put(data, b"", size)
        del data[size:]

    def mkdir(self) -> None:
        path = self.random.choice(FOLDERS[1:])
        place = self.place(path)
        if place is not None and place[1] not in place[0]:
            self.note(f"mkdir {path}")
            self.drive.mkdir(path)
            place[0][place[1]] = {}

    def rmdir(self) -> None:
        path = self.random.choice(FOLDERS[1:])
        place = self.place(path)
        if place is not None and place[0].get(place[1]) == {}:
            self.note(f"rmdir {path}")
            self.drive.rmdir(path)
            del place[0][place[1]]

    def copy(self) -> None:
        old, new = self.path(), self.path()
        source, target = self.place(old), self.place(new)
        if source is None or target is None or not isinstance(source[0].get(source[1]), File) or target[1] in target[0]:
            return
        self.note(f"copy {old} {new}")
        giver, taker = self.drive.open(old), self.drive.open(new, os.O_WRONLY | os.O_CREAT)
        assert self.drive.fs.copy_range(giver, 0, taker, 0, 1 << 60) == len(source[0][source[1]].data)
        self.drive.close_handle(giver)
        self.drive.close_handle(taker)
        target[0][target[1]] = File(bytearray(source[0][source[1]].data))

    # Box
    def send(self) -> None:
        """Make the calls that are due; while one is under way, more happens here."""
        self.note("send")
        self.drive.clock.pass_(self.random.choice((0.5, 130)))
        if not self.within:
            for method in ("upload_file", "upload_version", "update", "delete"):
                self.drive.remote.during[method] = self.meanwhile
        self.drive.push_once()
        self.drive.remote.during.clear()

    def meanwhile(self) -> None:
        self.within = True
        self.note("{")
        try:
            for _ in range(self.random.randrange(4)):
                self.random.choice(self.local_steps())()
        finally:
            self.note("}")
            self.within = False

    def push(self) -> None:
        self.note("push")
        self.drive.fs.files.save_old(1 << 62)
        self.drive.push()
        assert self.drive.remote.box.tree() == self.model.flat()

    def house(self) -> None:
        self.note("house")
        self.drive.fs.keep_house()
        if self.random.random() < 0.3:
            self.drive.fs.files.drop_retired(1 << 62)

    def forget(self) -> None:
        if not self.handles:
            self.note("forget what is clean")
            self.drive.tree.forget_clean()

    def die(self) -> None:
        """kill -9, after everything was flushed."""
        self.note("die")
        for handle, _, _ in self.handles:
            self.drive.fs.flush(handle)
        self.handles.clear()
        self.drive.crash()
        self.drive = Drive(self.folder, self.drive.remote)

    # Comparing
    def shown(self, path: str = "") -> dict[str, bytes | None]:
        out: dict[str, bytes | None] = {}
        for entry in self.drive.fs.readdir(self.drive.ino(path)):
            here = f"{path}/{entry.name}" if path else entry.name
            if entry.attr.mode & 0o040000:
                out[here] = None
                out.update(self.shown(here))
            else:
                out[here] = self.drive.read(here)
                assert entry.attr.size == len(out[here] or b""), here
        return out

    def compare(self) -> None:
        assert self.shown() == self.model.flat()
        for handle, file, _ in self.handles:
            assert self.drive.get(handle) == file.data

    def end(self) -> None:
        while self.handles:
            self.close_one()
        self.push()
        self.compare()
        self.drive.fs.let_late_ones_go()
        self.drive.fs.files.drop_retired(1 << 62)
        assert self.drive.spooled() == []
        assert self.drive.tree.records.spool_numbers() == set()


def put(data: bytearray, piece: bytes, at: int) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece


@pytest.mark.parametrize("seed", range(8))
def test_random_operations_do_what_posix_says(tmp_path: Path, seed: int) -> None:
    play = Play(tmp_path, seed)
    try:
        for _ in range(120):
            play.step()
            play.compare()
        play.end()
    except BaseException:
        print("\n".join(play.trace[-60:]))
        raise
    finally:
        play.drive.close()
