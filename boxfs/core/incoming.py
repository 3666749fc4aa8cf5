"""Incoming: everything that Box tells, each in one transaction: events with their position, listings, answers.

The rules of laying an item into the tree are in core/merge.py; here is who asks and when.  Facts on disk:

    position    where to go on in the event stream; stored together with the effects of what came before it
    heard_ns    when the stream was last read to that position
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from boxfs.base.errors import Busy, NoSpace, NotADirectory, NotFound
from boxfs.base.flight import SingleFlight
from boxfs.base.types import ROOT_INO, Event, EventKind, Ino, Item, Kind
from boxfs.core.backoff import SECOND, is_global
from boxfs.core.change import Change
from boxfs.core.memory import Key, Memory
from boxfs.core.merge import Merge
from boxfs.core.node import Node
from boxfs.core.remote import Remote
from boxfs.core.tree import Tree

log = logging.getLogger(__name__)

# Events come in no strict order, but seldom so far behind the latest one.
LATE_NS = 120 * SECOND
ASK_AT_MOST = 200  # questions about strays in one go; what is left is asked the next time


class Incoming:
    def __init__(self, tree: Tree, remote: Remote, memory: Memory | None = None) -> None:
        self._tree = tree
        self._remote = remote
        self.memory = memory if memory is not None else Memory()
        self._flights: SingleFlight[Ino, tuple[Node, bool]] = SingleFlight()  # and whether Box was asked
        # Makes sure that the event stream is followed before anything is listed (core/hearing.py).
        self.ensure_begun: Callable[[], None] = lambda: None
        # Called when something is left to be asked of Box, by whoever has a thread for it.
        self.on_strays: Callable[[], None] = lambda: None

    # Listings
    def list_folder(self, ino: Ino, *, background: bool = False) -> Node:
        """Ask Box for the folder's children and take them in; who asks for the same meanwhile waits for this.

        Raises NotFound where Box has the folder no more, NotADirectory, Unreachable and the like.
        """
        while True:
            node, asked = self._flights.do(ino, lambda: (self._list(ino, background), True))
            if asked:
                return node

    def listed(self, ino: Ino, *, background: bool = False) -> Node:
        """Return the folder with all its children known; Box is asked where they are not, or may have changed.

        To be preferred to a look at the folder and `list_folder`: between the two somebody else may have listed it.
        Raises as `list_folder`.
        """
        return self._flights.do(ino, partial(self._list_unless_known, ino, background))[0]

    def _list_unless_known(self, ino: Ino, background: bool) -> tuple[Node, bool]:
        node = self._tree.node(ino)
        if node is not None and node.is_listed:
            return node, False
        return self._list(ino, background), True

    def _list(self, ino: Ino, background: bool) -> Node:
        self.ensure_begun()
        for _ in range(5):
            with self._tree.lock:
                folder = self._tree.node(ino)
                if folder is None:
                    raise NotFound("the folder is gone")
                if not folder.is_folder:
                    raise NotADirectory(folder.name)
                if folder.remote is None or folder.remote.trashed:
                    return folder
                listing = self.memory.listing_begins(folder.remote.id)
            try:
                items = self._remote.list_folder(listing.folder_id, background=background)
                with self._tree.change() as change:
                    now = change.node(ino)
                    if now is not None and now.item_id != listing.folder_id:
                        continue  # the name went over to another folder of Box meanwhile
                    if now is not None:
                        now = Merge(change, self.memory).listed(now, items, listing)
                if now is None:
                    raise NotFound("the folder is gone")
                self._strays_left()
                return now
            except NotFound:
                with self._tree.change() as change:
                    Merge(change, self.memory).missing((Kind.FOLDER, listing.folder_id))
                self._strays_left()
                raise
            finally:
                with self._tree.lock:
                    self.memory.listing_ends(listing)
        raise Busy("the folder changes faster than it can be listed")

    # Answers to our own calls
    def learn(self, change: Change, items: Iterable[Item]) -> None:
        Merge(change, self.memory).learn(items)

    def vanish(self, change: Change, key: Key) -> None:
        Merge(change, self.memory).vanish(key)

    def missing(self, change: Change, key: Key) -> None:
        """Box answered that it has no such item (or one above it is in the trash)."""
        Merge(change, self.memory).missing(key)
        change.after.append(self._strays_left)

    def ask_for(self, keys: Iterable[Key]) -> None:
        """Let Box be asked about these items, soon."""
        with self._tree.lock:
            self.memory.strays.update(dict.fromkeys(keys))
        self._strays_left()

    # Events (this is hearing.Listener)
    def position(self) -> tuple[int, int] | None:
        position, heard_ns = self._tree.fact("position"), self._tree.fact("heard_ns")
        return (int(position), int(heard_ns or 0)) if position is not None else None

    def begin(self, position: int) -> None:
        with self._tree.change() as change:
            self._store(change, position)

    def heard(self, events: Sequence[Event], position: int) -> None:
        with self._tree.change() as change:
            items: list[Item] = []
            merge = Merge(change, self.memory)
            merge.makes_wait = True
            for event in events:
                if self.memory.is_seen(event.id):
                    continue
                if event.kind is EventKind.COLLABORATION:
                    merge.mark_stale(ROOT_INO, f"collaboration changed ({event.box_type})")
                if event.item is not None and event.kind is not EventKind.OTHER:
                    if self._is_late(event):
                        self.memory.strays[event.item.key] = None
                    elif not self._leaves_open(change, event, event.item):
                        items.append(event.item)
                elif event.item is None and event.kind in (EventKind.CHANGED, EventKind.TRASHED):
                    self._all_stale(change, f"an event named no item ({event.box_type})")
            merge.learn(items)
            self._store(change, position)
        with self._tree.lock:
            self.memory.seen(event.id for event in events)
            self.memory.latest_event_ns = max(
                [self.memory.latest_event_ns, *(event.created_ns or 0 for event in events)]
            )

    def _is_late(self, event: Event) -> bool:
        """Tell whether an old event shows what we do not know (any more): Box is to be asked whether it lives."""
        item, created_ns = event.item, event.created_ns
        if item is None or item.trashed or created_ns is None:
            return False
        if created_ns >= self.memory.latest_event_ns - LATE_NS:
            return False
        known, folder = self._tree.by_item(*item.key), item.parent_id
        return known is None and folder is not None and self._tree.by_item(Kind.FOLDER, folder) is not None

    def _leaves_open(self, change: Change, event: Event, item: Item) -> bool:
        """Note what must be asked of Box, as the event does not say it; return whether it says nothing else."""
        if event.kind is EventKind.LOCK and change.by_item(*item.key) is not None:
            self.memory.strays[item.key] = None  # a source has no `lock`
        if event.kind is EventKind.TRASHED and not item.trashed:
            # It may have come back since, or not say so.  Nor may one that is not known be believed gone as of this
            # sequence_id: it is that of today, so the event of its return would be taken for old.
            self.memory.strays[item.key] = None
            return True
        return False

    def lost(self, position: int, why: str) -> None:
        with self._tree.change() as change:
            self._all_stale(change, why)
            self._store(change, position)

    def settle_strays(self) -> None:
        """Ask Box about what could not be placed, and list again what is stale and may be known to the kernel."""
        for _ in range(ASK_AT_MOST):
            with self._tree.lock:
                key = next(iter(self.memory.strays), None)
                if key is not None:
                    del self.memory.strays[key]
            if key is None:
                break
            self._ask(key)
        while True:
            with self._tree.lock:
                ino = next(iter(self.memory.relist), None)
                if ino is not None:
                    del self.memory.relist[ino]
                folder = self._tree.node(ino) if ino is not None else None
            if ino is None:
                return
            if folder is not None and folder.complete and folder.stale is not None:
                try:
                    self.listed(ino, background=True)
                except (NotFound, NotADirectory):
                    continue
                except Exception as error:
                    if is_global(error) or isinstance(error, NoSpace):
                        with self._tree.lock:
                            self.memory.relist[ino] = None
                        raise
                    log.warning("Box does not list %r again: %s", folder.name, error)

    def _ask(self, key: Key) -> None:
        try:
            item = self._remote.item(*key)
        except NotFound:
            item = None
        except Exception as error:
            if is_global(error):
                with self._tree.lock:
                    self.memory.strays[key] = None
                raise
            # What is known of it stands; what else there is to hear must not wait for it.
            log.warning("Box does not say how it stands with %s %s: %s", *key, error)
            with self._tree.lock:
                self.memory.later = {k: i for k, i in self.memory.later.items() if (Kind.FOLDER, i.parent_id) != key}
            return
        with self._tree.change() as change:
            later = dict(self.memory.later)

            def undo() -> None:  # to be asked again
                self.memory.strays[key] = None
                self.memory.later.update(later)

            change.undo.append(undo)
            merge = Merge(change, self.memory)
            merge.asked = merge.makes_wait = True
            if item is not None and not item.trashed:
                self.memory.later.clear()
                merge.learn([item, *later.values()])
                lost = [i for i in self.memory.later.values() if i.parent_id is None]
            else:
                merge.missing(key)
                lost = [i for i in self.memory.later.values() if (Kind.FOLDER, i.parent_id) == key]
            for each in lost:  # where it is now cannot be seen from here
                self.memory.later.pop(each.key, None)
                merge.vanish(each.key)

    def _strays_left(self) -> None:
        with self._tree.lock:
            left = bool(self.memory.strays or self.memory.relist)
        if left:
            self.on_strays()

    def _all_stale(self, change: Change, why: str) -> None:
        tree = self._tree
        for ino in tree.records.folders(stale=False):
            node = change.node(Ino(ino))
            if node is not None and node.is_listed:
                change.put(replace(node, stale=why))
        change.everything_changed()

    def _store(self, change: Change, position: int) -> None:
        change.set_fact("position", str(position))
        change.set_fact("heard_ns", str(self._tree.clock()))
