"""Restart: a mount begins on what a crash left, with Box as it was then.  What it shows is held against the promises
that had been given.
"""

from __future__ import annotations

import hashlib
import pickle
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from boxfs.base.errors import NotFound
from boxfs.base.types import ROOT_INO, Ino, Kind
from tests.crash.disk import Loss
from tests.crash.home import Home
from tests.crash.shell import Entry, Operation, Run, World
from tests.support.memorybox import Key
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Clock

FILE = 0  # who a shown file is, is not known
GONE = b"(Box has no such file any more, and the mount has not heard of it)"


@dataclass(frozen=True)
class Moment:
    """done: the last operation that had returned.  begun: the one under way, which is the next, or None."""

    done: int
    begun: int | None
    box: int


def check(run: Run, folder: Path, moment: Moment, loss: Loss) -> None:
    """Raises AssertionError."""
    remote = MemoryRemote()
    (held, remote.sessions), now_ns = pickle.loads(run.boxes[moment.box][0]), run.boxes[moment.box][1]
    remote.box = held
    clock = Clock()
    clock.now_ns = now_ns + 1_000_000_000
    home = Home(folder, remote, clock, run.settings)
    home.tree.records._db.execute("PRAGMA synchronous = OFF")  # the folder is thrown away
    try:
        held_before = {key: remote.box.data(one) for key, one in remote.box.items.items() if one.versions}
        shown = look(home, run)
        operations = run.operations[: moment.done + 1]
        running = run.operations[moment.begun] if moment.begun is not None else None
        power = loss not in (Loss.NONE, Loss.TORN)
        if run.strangers:
            pass  # what is shown now depends on who is asked first; nothing may be lost in the end
        elif power:
            _after_a_power_cut(shown, operations, running)
        else:
            _after_a_kill(shown, operations[-1], running)
        settle(home)
        at_last = look(home, run)
        if not power and not run.strangers:
            assert at_last == shown, f"what was shown has changed while it was sent: {_difference(at_last, shown)}"
        if run.strangers:
            _nothing_is_lost(at_last, operations, running, power)
        _same_at_box(at_last, remote)
        if power:
            _nothing_is_damaged(held_before, remote, operations, running)
        _nothing_twice(remote, run, power)
        clock.pass_(1000)
        home.fs.keep_house()
        assert home.spooled() == [], "bytes are kept that nobody needs"
    finally:
        home.close()


def look(home: Home, run: Run) -> World:
    """All that the mount shows."""
    world: World = {}
    stack: list[tuple[Ino, str]] = [(ROOT_INO, "")]
    while stack:
        ino, above = stack.pop()
        for entry in home.fs.readdir(ino):
            path = f"{above}{entry.name}"
            mode = entry.attr.mode
            if stat.S_ISDIR(mode):
                stack.append((entry.attr.ino, f"{path}/"))
                world[path] = Entry(FILE, None)
                continue
            link = stat.S_ISLNK(mode)
            content = home.fs.readlink(entry.attr.ino).encode() if link else _read(home, path)
            world[path] = Entry(FILE, content, link)
            if not link:
                names = [one for one in home.fs.listxattr(entry.attr.ino) if one.startswith("user.colour")]
                values = tuple((one, home.fs.getxattr(entry.attr.ino, one)) for one in names)
                world[path] = world[path]._replace(mode=stat.S_IMODE(mode), xattrs=values)
    return world


def _read(home: Home, path: str) -> bytes:
    try:
        return home.read(path)
    except NotFound:
        return GONE


def settle(home: Home) -> None:
    """Let time pass until Box has everything and has told everything."""
    for _ in range(100):
        home.clock.pass_(130)
        home.hear()
        made = home.push_once()
        memory = home.incoming.memory
        if not made and not home.tree.pending_count() and not memory.strays and not memory.relist:
            return
    raise AssertionError(f"it does not settle: {[home.sync._describe(node) for node in home.tree.pending()]}")


# What must be shown


def _agrees(shown: World, promised: World, but: str | None = None) -> bool:
    return shown.keys() == promised.keys() and all(
        path == but or _same(shown[path], promised[path]) for path in promised
    )


def _same(shown: Entry, promised: Entry) -> bool:
    return (
        shown.content == promised.content
        and shown.link == promised.link
        and shown.xattrs == promised.xattrs
        and promised.mode in (None, shown.mode)
    )


def _mixes(content: bytes | None, *of: bytes | None) -> bool:
    """Every byte is that of one of these at its place, or the zero of a hole, and it is not longer than the longest."""
    if content is None:
        return False
    whole = [one for one in of if one is not None]
    return len(content) <= max(map(len, whole)) and all(
        byte == 0 or any(at < len(one) and one[at] == byte for one in whole) for at, byte in enumerate(content)
    )


def _after_a_kill(shown: World, done: Operation, running: Operation | None) -> None:
    """Exactly what the last operation promised, or what the one under way makes of it."""
    if _agrees(shown, done.after):
        return
    assert running is not None, f"not what was promised: {_difference(shown, done.after)}"
    if any(_agrees(shown, world) for world in (running.after, *running.during)):
        return
    path = running.mixed
    assert path is not None, f"neither before nor after: {_difference(shown, done.after)}"
    assert _agrees(shown, running.after, but=path), _difference(shown, running.after)
    assert _mixes(shown[path].content, done.after[path].content, running.after[path].content), path


def _difference(shown: World, promised: World) -> str:
    lines = [f"{path}: {_short(shown.get(path))} for {_short(promised.get(path))}"
             for path in sorted({*shown, *promised})
             if path not in shown or path not in promised or not _same(shown[path], promised[path])]  # fmt: skip
    return "; ".join(lines)


def _short(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    content = entry.content
    if content is not None and len(content) > 30:
        content = content[:30] + b"..."
    return f"{content!r} {entry.mode or ''} {dict(entry.xattrs) or ''}".strip()


def _after_a_power_cut(shown: World, operations: list[Operation], running: Operation | None) -> None:
    """Each file that was fsynced has its bytes of then, or what was written over them since."""
    last: dict[int, int] = {}  # file -> the operation that made it safe
    for number, operation in enumerate(operations):
        if number == 0:  # what there was at the begin is safe
            last.update(dict.fromkeys((entry.file for entry in operation.after.values() if entry.content), 0))
        if operation.synced is not None:
            last[operation.synced] = number
    for file, since in last.items():
        worlds = [operation.after for operation in operations[since:]]
        if running is not None:
            worlds += [running.after, *running.during]
        if not file:
            _names_are_safe(shown, worlds)
            continue
        places = {path for world in worlds for path, entry in world.items() if entry.file == file}
        contents = [entry.content for world in worlds for entry in world.values() if entry.file == file]
        heirs = [
            entry.content
            for world in worlds
            for path, entry in world.items()
            if path in places and entry.file != file and last.get(entry.file, -1) >= since
        ]
        gone = any(all(entry.file != file for entry in world.values()) for world in worlds)
        vacant = any(places.isdisjoint(world) for world in worlds)
        if gone and (vacant or not heirs):
            continue  # it was deleted, or replaced by what was not made safe
        found = [shown[path].content for path in places if path in shown]
        rewritten = len(set(contents)) > 1
        assert any(one in contents or one in heirs or (rewritten and _mixes(one, *contents)) for one in found), (
            f"fsynced bytes are lost: {contents[0]!r:.60}, there is {found!r:.200} at {places}"
        )


def _names_are_safe(shown: World, worlds: list[World]) -> None:
    assert any(shown.keys() == world.keys() for world in worlds), f"{sorted(shown)} for {sorted(worlds[0])}"


def _nothing_is_lost(shown: World, operations: list[Operation], running: Operation | None, power: bool) -> None:
    """What is promised now, and not just being replaced, is somewhere in the tree."""
    promised = _contents(operations[-1].after)
    if running is not None:
        promised &= _contents(running.after)
    if power:
        safe = [o for o in operations if o.synced]
        promised &= _contents(safe[-1].after) if safe else set()
    assert promised <= _contents(shown), f"lost: {promised - _contents(shown)}"


def _contents(world: World) -> set[bytes]:
    return {entry.content for entry in world.values() if entry.content and not entry.link}


# What Box must hold


def _same_at_box(shown: World, remote: MemoryRemote) -> None:
    here = {path: b"" if entry.link else entry.content for path, entry in shown.items()}
    assert here == remote.box.tree(), "the mount and Box differ"


def _nothing_is_damaged(
    before: Mapping[Key, bytes], remote: MemoryRemote, operations: list[Operation], running: Operation | None
) -> None:
    """What Box had is replaced by what a program wrote, or not at all: never by what a disk has left of that."""
    known = set().union(*(_contents(one.after) for one in [*operations, *([running] if running else [])]))
    for key, data in before.items():
        now = remote.box.data(remote.box.items[key])
        assert now == data or now in known or (not now and b"" in _all(operations)), (
            f"{data!r:.40} ({len(data)} bytes) became {now!r:.40} ({len(now)})"
        )


def _all(operations: list[Operation]) -> set[bytes | None]:
    return {entry.content for one in operations for entry in one.after.values()}


def _nothing_twice(remote: MemoryRemote, run: Run, power: bool) -> None:
    """No content is in two files at Box, nor in two versions of one, nor (without need) in the trash besides."""
    files = [one for one in remote.box.items.values() if one.kind is Kind.FILE]
    alive = [one for one in files if remote.box.alive(one)]
    twice = _twice(remote.box.data(one) for one in alive)
    assert not twice, f"in two files at Box: {twice}"
    for one in files:
        twice = _twice(data for _, data in one.versions)
        assert not twice, f"versions too many of {one.name}: {twice}"
    if not power and not run.trashes:
        twice = _twice(remote.box.data(one) for one in files)
        assert not twice, f"sent once too often, and put into the trash: {twice}"


def _twice(contents: Iterable[bytes]) -> list[str]:
    counts = Counter(data for data in contents if data)
    return [f"{data[:20]!r} ({hashlib.sha1(data).hexdigest()[:8]})" for data, count in counts.items() if count > 1]
