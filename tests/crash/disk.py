"""Disk: what a disk holds after the first so many system calls, and what of it a crash leaves.

A process that dies loses nothing of what its calls did.  A power cut keeps for certain only what was synced: the bytes
of a file by a sync of the file, a name by a sync of its folder or, as every journalling file system of Linux does, the
name of a new file by a sync of that file.  What else it keeps is chance; `Loss` has the cases that differ.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SECTOR = 512
PAGE = 4096
FOLDER = -1  # what a folder's name leads to


class Loss(StrEnum):
    NONE = "killed"  # everything that was called is there
    TORN = "killed within a write"  # as NONE, and the first pages of the write that comes next
    UNSYNCED = "power cut"  # nothing but what was synced
    BYTES = "power cut, names kept"  # all names and removals, but of the bytes only what was synced
    CHANCE = "power cut, by chance"  # of what was not synced this and that, in sectors


@dataclass(frozen=True)
class Write:
    """data at offset; or cut (data None) to the length `offset`."""

    number: int
    offset: int
    data: bytes | None


@dataclass(frozen=True)
class Grow:
    number: int
    stop: int


@dataclass(frozen=True)
class Name:
    """A new name for a file, or a new folder."""

    path: str
    number: int


@dataclass(frozen=True)
class Remove:
    path: str


@dataclass(frozen=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True)
class SyncFile:
    number: int


@dataclass(frozen=True)
class SyncFolder:
    path: str


Step = Write | Grow | Name | Remove | Rename | SyncFile | SyncFolder


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    unsynced: list[Write | Grow] = field(default_factory=list)


def apply(data: bytearray, step: Write | Grow) -> None:
    if isinstance(step, Grow):
        data.extend(bytes(max(0, step.stop - len(data))))
    elif step.data is None:
        del data[step.offset :]
        data.extend(bytes(step.offset - len(data)))
    else:
        data.extend(bytes(max(0, step.offset - len(data))))
        data[step.offset : step.offset + len(step.data)] = step.data


class Disk:
    """Everything below one folder.  Paths are relative to it."""

    def __init__(self, held: Mapping[str, bytes | None] | None = None) -> None:
        """held: what is there and safe at the begin, None for a folder."""
        self.files: dict[int, File] = {}
        self.names: dict[str, int] = {}
        for path, data in (held or {}).items():
            self.names[path] = FOLDER if data is None else self.new(data)
        self.synced_names = dict(self.names)

    def new(self, data: bytes = b"") -> int:
        number = len(self.files)
        self.files[number] = File(bytearray(data), data)
        return number

    def take(self, step: Step) -> None:
        names = self.names
        match step:
            case Write() | Grow():
                file = self.files[step.number]
                apply(file.data, step)
                file.unsynced.append(step)
            case Name():
                names[step.path] = step.number
                if step.number != FOLDER and step.number not in self.files:
                    self.files[step.number] = File()
            case Remove():
                names.pop(step.path, None)
            case Rename():
                for path in [one for one in names if one == step.old or one.startswith(step.old + "/")]:
                    names[step.new + path[len(step.old) :]] = names.pop(path)
            case SyncFile():
                file = self.files[step.number]
                if file.unsynced:
                    file.synced = bytes(file.data)
                    file.unsynced.clear()
                if step.number not in self.synced_names.values():
                    for path, number in names.items():
                        if number == step.number:
                            self._sync_name(path)
            case SyncFolder():
                for path in {*self.synced_names, *names}:
                    if os.path.dirname(path) == step.path:
                        self._sync_name(path)

    def _sync_name(self, path: str) -> None:
        if path in self.names:
            self.synced_names[path] = self.names[path]
        else:
            for below in [one for one in self.synced_names if one == path or one.startswith(path + "/")]:
                del self.synced_names[below]

    def left(self, loss: Loss, following: Step | None, dice: random.Random) -> dict[str, bytes | None]:
        """Return what is there after the crash: path -> bytes, None for a folder."""
        if loss is Loss.NONE or loss is Loss.TORN:
            torn: bytearray | None = None
            if loss is Loss.TORN:
                assert isinstance(following, Write)
                torn = bytearray(self.files[following.number].data)
                apply(torn, cut(following, dice, PAGE))
            return {
                path: None
                if number == FOLDER
                else bytes(self.files[number].data)
                if torn is None or not isinstance(following, Write) or number != following.number
                else bytes(torn)
                for path, number in self.names.items()
            }
        if loss is Loss.UNSYNCED:
            return {path: self._synced(number) for path, number in _reachable(self.synced_names)}
        if loss is Loss.BYTES:
            return {path: self._synced(number) for path, number in self.names.items()}
        names = self.names if dice.random() < 0.5 else self.synced_names
        chosen: dict[int, bytes | None] = {}
        for number in sorted(set(names.values())):
            chosen[number] = self._synced(number) if number == FOLDER else self._by_chance(number, dice)
        return {path: chosen[number] for path, number in _reachable(names)}

    def _synced(self, number: int) -> bytes | None:
        return None if number == FOLDER else self.files[number].synced

    def _by_chance(self, number: int, dice: random.Random) -> bytes:
        file = self.files[number]
        data = bytearray(file.synced)
        for step in file.unsynced:
            kind = dice.random()
            if kind < 0.5:
                apply(data, step)
            elif kind < 0.6 and isinstance(step, Write) and step.data:
                apply(data, cut(step, dice, SECTOR))
        return bytes(data)


def _reachable(names: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """A name whose folder is not there leads nowhere."""
    for path in sorted(names):
        above = os.path.dirname(path)
        while above and above in names:
            above = os.path.dirname(above)
        if not above:
            yield path, names[path]


def cut(step: Write, dice: random.Random, unit: int) -> Write:
    """The begin of a write, in whole units of the disk as far as it has them."""
    assert step.data is not None
    units = len(step.data) // unit
    return Write(step.number, step.offset, step.data[: dice.randint(0, units) * unit])


def lay_out(left: Mapping[str, bytes | None], folder: Path) -> None:
    """Make it real.  folder: is not there yet."""
    folder.mkdir(mode=0o700)
    for path in sorted(left):
        data = left[path]
        if data is None:
            (folder / path).mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        with open(folder / path, "wb") as file:
            if len(data) > 1 << 16 and not data.strip(b"\0"):
                file.truncate(len(data))
            else:
                file.write(data)


def picture(folder: Path) -> dict[str, bytes | None]:
    """What is there now."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }
