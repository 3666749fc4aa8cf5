"""Two mounts and a stranger change one account in any order, with lost replies, outages, crashes and awkward events.

When all is quiet both mounts show what Box holds, and every content that was ever closed can still be reached at Box
(as a current file, a version or in the trash), unless its own author replaced or deleted it before it was sent.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from boxfs.base.errors import FsError, InDoubt, NotFound, RateLimited, Unreachable
from boxfs.base.types import ROOT_FOLDER, Event, Kind
from tests.support.memorybox import MemoryBox, Told, fold
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Clock, Machine

HISTORIES = int(os.environ.get("BOXFS_HISTORIES", "2000"))
QUICK = 100  # of them in scripts/check
AWAY_S = 40 * 86400
NAMES = ["a", "b", "c", "A"]


class History:
    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.box = MemoryBox()
        self.clock = Clock()
        self.machines = [self._machine(folder / f"m{n}", f"host{n}") for n in range(2)]
        self.closed: dict[bytes, str] = {}  # what must be reachable -> who wrote it
        self.log: list[str] = []
        self._count = 0

    def _machine(self, folder: Path, host: str) -> Machine:
        remote = MemoryRemote(self.box)
        remote.tell = self.awkwardly
        remote.page_size = self.dice.choice([2, 5, 100])
        return Machine(remote, folder, host=host, clock=self.clock)

    def awkwardly(self, box: MemoryBox, entries: list[Told]) -> tuple[Event, ...]:
        """Duplicated, out of order, with old ones among them, new ones at times with the item as it was by then."""
        if not entries:
            return ()
        told = list(entries) + self.dice.choices(entries, k=self.dice.randint(0, 2))
        events = [box.event(one, fresh=self.dice.random() < 0.6) for one in told]
        earlier = [one for one in box.stream if one.position < entries[0].position][-10:]
        if earlier:
            events += [box.event(one) for one in self.dice.choices(earlier, k=self.dice.randint(0, 1))]
        self.dice.shuffle(events)
        return tuple(events)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            who = self.dice.choice([*self.machines, None])
            if who is None:
                self.stranger()
            elif self.dice.random() < 0.5:
                self.program(who)
            else:
                self.machinery(who)
            for at in self.machines:
                at.check()
        self.quiet()

    def _data(self) -> bytes:
        self._count += 1
        return b"content %d" % self._count if self.dice.random() < 0.95 else b"same"

    # A stranger, by the web client
    def stranger(self) -> None:
        items = [held for _, held in self.box.walk()]
        folders = [ROOT_FOLDER, *(h.id for h in items if h.kind is Kind.FOLDER)]
        trash = [h for h in self.box.items.values() if h.trashed]
        what = self.dice.choice(["file", "folder", "edit", "edit", "move", "move", "delete", "restore", "describe"])
        try:
            if what in ("file", "folder"):
                kind = Kind(what)
                data = self._data() if kind is Kind.FILE else None
                held = self.box.create(kind, self.dice.choice(folders), self.dice.choice(NAMES), data)
                if data is not None:
                    self.closed[data] = "stranger"
            elif what == "restore" and trash:
                held = self.dice.choice(trash)
                self.box.restore(held, name=self.dice.choice([None, *NAMES]))
            elif items:
                held = self.dice.choice(items)
                if what == "edit" and held.kind is Kind.FILE:
                    data = self._data()
                    self.box.overwrite(held, data)
                    self.closed[data] = "stranger"
                elif what == "move":
                    self.box.change(held, name=self.dice.choice(NAMES), parent_id=self.dice.choice(folders))
                elif what == "delete":
                    self.box.delete(held, recursive=True)
                elif what == "describe":
                    held.etag += 1
                    self.box.tell(held, "ITEM_MODIFY")
            self.log.append(f"stranger {what}")
        except FsError:
            pass

    # A program in a mount
    def program(self, at: Machine) -> None:
        shown = [at.tree.path(node.ino) or "" for node in at.tree.descendants(at.node("").ino)]
        folders = ["", *(p for p in shown if at.node(p).is_folder)]
        target = "/".join(filter(None, (self.dice.choice(folders), self.dice.choice(NAMES))))
        what = self.dice.choice(["write", "write", "write", "mkdir", "move", "move", "delete", "list"])
        if what != "delete" and not self._try(lambda: at.list(parent(target))):  # a name is looked up before it is made
            return
        if what == "write":
            if at.has(target):
                if at.node(target).is_folder:
                    return
                self._forgo(at, target)
            elif self._taken(at, target):
                return
            data = self._data()
            at.write(target, data)
            self.closed[data] = at.host
        elif what == "mkdir" and not self._taken(at, target):
            at.mkdir(target)
        elif what == "list":
            self._try(lambda: at.list(self.dice.choice(folders)))
        elif shown and what in ("move", "delete"):
            source = self.dice.choice(shown)
            if what == "move":
                inside = f"{target}/".startswith(f"{source}/")
                if not inside and at.has(source) and not self._taken(at, target, but=source):
                    at.rename(source, target)
            else:
                if at.node(source).is_folder and not self._try(lambda: at.list_all(source)):
                    return
                if not at.has(source):
                    return
                for path in [source, *(p for p in at.files() if p.startswith(f"{source}/"))]:
                    self._forgo(at, path)
                at.delete(source)
        self.log.append(f"{at.host} {what} {target}")

    def _taken(self, at: Machine, path: str, but: str | None = None) -> bool:
        if parent(path) and not at.has(parent(path)):
            return True
        above, name = at.node(parent(path)).ino, path.rpartition("/")[2]
        ours = at.node(but).ino if but is not None and at.has(but) else None
        return any(n.ino != ours and fold(n.name) == fold(name) for n in at.tree.children(above))

    def _forgo(self, at: Machine, path: str) -> None:
        """The author replaces or deletes what it may not have sent yet."""
        node = at.node(path)
        if node.content is not None:
            self.closed.pop(at.bytes[node.content.spool], None)

    # What a mount's threads do, and what goes wrong
    def machinery(self, at: Machine) -> None:
        what = self.dice.choice(["hear", "hear", "push", "push", "push", "wait", "crash", "outage", "fault", "cut"])
        if what == "outage" and self.dice.random() < 0.2:
            what = "away"
        self.log.append(f"{at.host} {what}")
        if what == "hear":
            self._try(at.hear)
        elif what == "push":
            self.clock.pass_(self.dice.choice([1, 5, 40]))
            at.push(dice=self.dice, limit=self.dice.choice([1, 2, None]))
        elif what == "wait":
            self.clock.pass_(100)
        elif what == "crash":
            at.restart()
        elif what == "outage":
            at.remote.offline = not at.remote.offline
        elif what == "fault":
            error = self.dice.choice([InDoubt("lost"), Unreachable("down"), RateLimited("slow", 3.0)])
            after = isinstance(error, InDoubt) and self.dice.random() < 0.8
            at.remote.fail("write", error, after=after, skip=self.dice.randint(0, 2))
        elif what == "away":
            # Longer than Box keeps events: what happened meanwhile is told to nobody.
            self.clock.pass_(AWAY_S)
            self.box.stream.clear()
        elif what == "cut":
            methods = ["upload_file", "upload_version", "update", "create_folder", "delete", "list_folder", "item"]
            method = self.dice.choice(methods)
            if method == "list_folder" or self.dice.random() < 0.5:
                at.remote.during[method] = self.stranger
            else:
                at.remote.during[method] = lambda: self.program(at)

    def _try(self, what: Callable[[], object]) -> bool:
        try:
            what()
        except (FsError, KeyError):
            return False
        return True

    def quiet(self) -> None:
        for at in self.machines:
            at.remote.offline = False
            at.remote.faults.clear()
            at.remote.during.clear()
        for _ in range(4):  # what one sends the other hears
            for at in self.machines:
                at.settle()
                self._list_all(at)
        want = self.box.tree()
        for at in self.machines:
            self._list_all(at)
            assert at.files() == want, f"{at.host} shows something else than Box has"
            assert not at.tree.pending_count()
        held = self.box.every_content()
        lost = {data: who for data, who in self.closed.items() if data not in held}
        assert not lost, f"lost: {lost}"

    def _list_all(self, at: Machine) -> None:
        for _ in range(5):
            try:
                at.list_all()
                return
            except NotFound:
                at.hear()
        raise AssertionError("the listing does not settle")


def parent(path: str) -> str:
    return path.rpartition("/")[0]


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed >= QUICK else []) for seed in range(HISTORIES)]
)
def test_history(seed: int, tmp_path: Path) -> None:
    history = History(seed, tmp_path)
    try:
        history.run(random.Random(seed * 7919).choice([10, 25, 60]))
    finally:
        for at in history.machines:
            at.close()
