"""The planner: from what differs between here and Box, the calls that may be made now.  A pure function.

It keeps no memory: after each call it is asked again, with the state as it is then.  What it promises of its answers:

- Every call is possible at Box as we know Box: the parent exists, no known item holds the name, a folder is not moved
  into itself, and nothing that the mount still shows goes to the trash with a folder.
- All calls of one answer may run at the same time, in any order.
- Where pending items wait for each other in a ring (two names swapped, a new folder that takes the name of the one that
  its children come from), one of them steps aside to a temporary name.
- While anything is pending, something is planned, or the answer says when to ask again (`next_ns`), or it waits for
  what is under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from boxfs.base.types import ROOT_INO, Ino, ItemId, Kind
from boxfs.core.calls import Call, Delete, MakeFolder, SetProperties, Update, Upload, UploadVersion
from boxfs.core.names import fold
from boxfs.core.node import Node, Wanted

SECOND = 1_000_000_000
# A file that a program keeps open for writing is sent after this long without a write (a database, a log).
OPEN_IDLE_NS = 30 * SECOND
# A deleted file that a program has open stays at Box for so long, since its bytes may still be read from there.
OPEN_DELETED_NS = 900 * SECOND
# Deletions of one tree wait for the rest of it (rm -r of a large tree), but no longer than this.
DELETE_PATIENCE_NS = 20 * SECOND

NO_WAIT: frozenset[Ino] = frozenset()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the planner looks at.

    nodes: all pending nodes, and the folders above them on either side as far as the tree knows them.
    wanted: of the pending nodes.  names: the names that pending nodes shall have at Box (encoded).
    ino_of: of the folders in `nodes`, by Box's id.  busy: a call for the inode is under way.
    in_use: open for writing; of what is deleted, open at all.
    hurried: whose settle window and back-off are over by somebody's word; None for all.
    full_until_ns: no bytes are sent before, since the account is full.
    """

    nodes: Mapping[Ino, Node]
    wanted: Mapping[Ino, Wanted]
    names: Mapping[Ino, str]
    ino_of: Mapping[ItemId, Ino]
    now_ns: int
    settle_ns: int
    busy: Set[Ino] = NO_WAIT
    in_use: Set[Ino] = NO_WAIT
    hurried: Set[Ino] | None = NO_WAIT
    full_until_ns: int = 0


@dataclass(slots=True)
class Plan:
    """calls: to be made now.  next_ns: when time alone makes more possible; None: it does not."""

    calls: list[Call] = field(default_factory=list)
    next_ns: int | None = None


def plan(outlook: Outlook) -> Plan:
    return _Planner(outlook).plan()


class _Planner:
    def __init__(self, outlook: Outlook) -> None:
        self._look = outlook
        self._deleted = {ino for ino, wanted in outlook.wanted.items() if Wanted.DELETE in wanted}
        self._holders = dict(self._remote_names())
        self._blockers, self._busiest, self._below = self._subtrees()
        self._block_bases()
        self._waits: dict[Ino, set[Ino]] = {ino: self._waits_of(ino) for ino in outlook.wanted}
        self._hurried = self._spread_hurry()
        self._answer = Plan()

    def plan(self) -> Plan:
        look = self._look
        aside: set[Ino] = set()
        for ino in sorted(
            look.wanted, key=lambda i: (look.nodes[i].kind is not Kind.FOLDER, look.nodes[i].changed_ns, i)
        ):
            if ino in look.busy or ino in aside:
                continue
            if not self._waits[ino]:
                self._step(ino)
            else:
                holder = self._ring(ino, aside)
                if holder is not None and self._is_due(self._due_ns(holder)):
                    aside.add(holder)
                    self._answer.calls.append(self._step_aside(holder))
        return self._answer

    # What waits for what
    def _remote_names(self) -> Iterator[tuple[tuple[ItemId, str], Ino]]:
        for ino in self._look.wanted:
            remote = self._look.nodes[ino].remote
            if remote is not None and remote.parent_id is not None and not remote.trashed:
                yield (remote.parent_id, fold(remote.name)), ino

    def _above(self, ino: Ino) -> Iterator[Ino]:
        """Yield the folders above an inode at Box, nearest first, as far as they are known."""
        remote = self._look.nodes[ino].remote
        for _ in range(len(self._look.nodes)):
            if remote is None or remote.parent_id is None:
                return
            above = self._look.ino_of.get(remote.parent_id)
            if above is None:
                return
            yield above
            remote = self._look.nodes[above].remote

    def _subtrees(self) -> tuple[dict[Ino, set[Ino]], dict[Ino, int], dict[Ino, list[Ino]]]:
        """Of folders that go: who must leave first, when something in them was last deleted, what goes along."""
        blockers: dict[Ino, set[Ino]] = {}
        busiest: dict[Ino, int] = {}
        below: dict[Ino, list[Ino]] = {}
        for ino in self._look.wanted:
            goes = ino in self._deleted
            for above in self._above(ino):
                if goes and above in self._deleted:
                    below.setdefault(above, []).append(ino)
                if goes:
                    if above != ROOT_INO:
                        busiest[above] = max(busiest.get(above, 0), self._look.nodes[ino].changed_ns)
                elif above in self._deleted:
                    blockers.setdefault(above, set()).add(ino)
        return blockers, busiest, below

    def _block_bases(self) -> None:
        """What goes is waited for by what rests on a version of it: a copy, a backup, not sent yet."""
        nodes = self._look.nodes
        going = {
            node.remote.id: ino  # of files: a folder may have the same number
            for ino in self._deleted
            if (node := nodes[ino]).remote is not None and not node.is_folder
        }
        for ino in self._look.wanted:
            content = nodes[ino].content
            gone = going.get(content.base_file) if content is not None and content.base_file is not None else None
            if gone is not None:
                for one in (gone, *self._above(gone)):
                    self._blockers.setdefault(one, set()).add(ino)

    def _waits_of(self, ino: Ino) -> set[Ino]:
        node, wanted = self._look.nodes[ino], self._look.wanted[ino]
        if Wanted.DELETE in wanted:
            return set(self._blockers.get(ino, ()))
        waits: set[Ino] = set()
        if wanted & (Wanted.CREATE | Wanted.PLACE) and node.parent is not None:
            parent = self._look.nodes[node.parent]
            if parent.remote is None or parent.remote.trashed:
                return {parent.ino}
            holder = self._holders.get((parent.remote.id, fold(self._look.names[ino])))
            if holder is not None and holder != ino:
                waits.add(holder)
            if node.is_folder and Wanted.PLACE in wanted:
                waits |= self._inside(ino, parent.ino)
        return waits

    def _inside(self, ino: Ino, parent: Ino) -> set[Ino]:
        """Of a folder that would go into itself as Box stands: the folders between that leave it."""
        chain = [parent, *self._above(parent)]
        if ino not in chain:
            return set()
        between = chain[: chain.index(ino)]
        return {i for i in between if Wanted.PLACE in self._look.wanted.get(i, Wanted.NOTHING)}

    def _ring(self, ino: Ino, aside: Set[Ino]) -> Ino | None:
        """Return who holds the name that `ino` wants and itself waits for `ino`, through others or not."""
        node = self._look.nodes[ino]
        if node.parent is None:
            return None
        parent = self._look.nodes[node.parent].remote
        holder = self._holders.get((parent.id, fold(self._look.names[ino]))) if parent is not None else None
        if holder is None or holder == ino or holder in self._look.busy:
            return None
        seen: set[Ino] = set()
        front = deque([holder])
        while front:
            at = front.popleft()
            if at == ino:
                return holder
            if at in seen or at in aside or at in self._look.busy:
                continue
            seen.add(at)
            front.extend(self._waits.get(at, ()))
        return None

    # When
    def _spread_hurry(self) -> Set[Ino] | None:
        """Who is waited for by the hurried is hurried."""
        if not self._look.hurried:
            return self._look.hurried
        hurried = set(self._look.hurried)
        front = deque(hurried)
        while front:
            for ino in self._waits.get(front.popleft(), ()):
                if ino not in hurried:
                    hurried.add(ino)
                    front.append(ino)
        return hurried

    def _is_hurried(self, ino: Ino) -> bool:
        return self._hurried is None or ino in self._hurried

    def _due_ns(self, ino: Ino, *, content: bool = False) -> int:
        node = self._look.nodes[ino]
        full_ns = self._look.full_until_ns if content and node.size else 0
        if self._is_hurried(ino):
            return max(node.not_before_ns if node.attempts else 0, full_ns)
        settle = node.changed_ns + self._look.settle_ns
        if ino in self._deleted:
            last = max([self._busiest.get(ino, 0), *(self._busiest.get(above, 0) for above in self._above(ino))])
            settle = max(settle, min(last + self._look.settle_ns, node.changed_ns + DELETE_PATIENCE_NS))
            if any(one in self._look.in_use for one in (ino, *self._below.get(ino, ()))):
                settle = max(settle, node.changed_ns + OPEN_DELETED_NS)
        if content and ino in self._look.in_use:
            settle = max(settle, node.changed_ns + OPEN_IDLE_NS)
        return max(settle, node.not_before_ns, full_ns)

    def _is_due(self, due_ns: int) -> bool:
        if due_ns <= self._look.now_ns:
            return True
        if self._answer.next_ns is None or due_ns < self._answer.next_ns:
            self._answer.next_ns = due_ns
        return False

    # What
    def _step(self, ino: Ino) -> None:
        call = self._delete(ino) if ino in self._deleted else self._send(ino)
        if call is not None:
            self._answer.calls.append(call)

    def _send(self, ino: Ino) -> Call | None:
        look = self._look
        node, wanted = look.nodes[ino], look.wanted[ino]
        content = bool(wanted & (Wanted.CREATE | Wanted.CONTENT)) and not node.is_folder
        if self._is_due(self._due_ns(ino, content=content)):
            return self._call(node, wanted)
        if content and Wanted.PLACE in wanted and self._is_due(self._due_ns(ino)):
            return self._call(node, wanted & ~Wanted.CONTENT)  # held open for writing: the name need not wait
        return None

    def _call(self, node: Node, wanted: Wanted) -> Call | None:
        look = self._look
        parent = look.nodes[node.parent].remote if node.parent is not None else None
        name = look.names[node.ino]
        if Wanted.CREATE in wanted:
            assert parent is not None
            return (MakeFolder if node.is_folder else Upload)(node.ino, parent.id, name)
        remote = node.remote
        assert remote is not None
        new_name = name if Wanted.PLACE in wanted and name != remote.name else None
        new_parent = (
            parent.id if Wanted.PLACE in wanted and parent is not None and parent.id != remote.parent_id else None
        )
        if Wanted.CONTENT in wanted and new_parent is None:
            return UploadVersion(node.ino, remote.id, new_name)
        if wanted & (Wanted.PLACE | Wanted.TIME):
            time = Wanted.TIME in wanted and Wanted.CONTENT not in wanted
            return Update(node.ino, node.kind, remote.id, new_name, new_parent, time)
        if Wanted.PROPERTIES in wanted:
            return SetProperties(node.ino, node.kind, remote.id)
        return None

    def _delete(self, ino: Ino) -> Call | None:
        """One call for the top of what goes; the rest goes with it."""
        if any(above in self._deleted for above in self._above(ino)):
            return None
        if not self._is_due(self._due_ns(ino)):
            return None
        remote = self._look.nodes[ino].remote
        assert remote is not None
        covers = (ino, *sorted(self._below.get(ino, ())))
        if not self._look.busy.isdisjoint(covers):
            return None
        return Delete(ino, remote.kind, remote.id, covers)

    def _step_aside(self, ino: Ino) -> Call:
        remote = self._look.nodes[ino].remote
        assert remote is not None
        return Update(ino, remote.kind, remote.id, temporary_name(ino), None, set_time=False, aside=True)


def temporary_name(ino: Ino) -> str:
    """A name that nobody's file has, seen at Box for the moment between two calls."""
    return f".boxfs-aside-{ino}~"
