"""Memory: what meets of two streams that run side by side, Box's news and our own calls, until they are one story.

- A call of ours is under way for an inode: news of it wait for the reply, else our echo looks like a stranger's work.
- A folder is being listed: what is learnt meanwhile is laid over the listing, which may be older.
- An item has gone: a late event that still shows it alive does not bring it back.
- Something cannot be placed: Box is to be asked (`strays`, `relist`), and then the item is tried again (`later`).

Nothing of it outlives the process; after a restart the stream is read from the stored position and tells it again.
All methods are called with the tree's lock held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from boxfs.base.types import Ino, Item, ItemId, Kind
from boxfs.core.names import fold

Key = tuple[Kind, ItemId]
Name = tuple[ItemId, str]  # a folder of Box, and a name in it as Box compares names
BURIED = 10_000
SEEN = 20_000


@dataclass(slots=True, eq=False)
class ListingUnderWay:
    """news: the latest told of each item since the listing began; an item with `trashed` has gone."""

    folder_id: ItemId
    news: dict[Key, Item] = field(default_factory=dict)


class Memory:
    def __init__(self) -> None:
        self.busy: set[Ino] = set()
        self._busy_items: dict[Key, Ino] = {}
        self._busy_names: dict[Name, Ino] = {}
        self.strays: dict[Key, None] = {}
        self.relist: dict[Ino, None] = {}
        self.later: dict[Key, Item] = {}
        self._deferred: dict[Ino, dict[Key, Item]] = {}
        self._listings: list[ListingUnderWay] = []
        self._buried: OrderedDict[Key, int] = OrderedDict()
        self.latest_event_ns = 0  # when the latest event that was read had happened, by Box's clock
        self._seen: OrderedDict[str, None] = OrderedDict()

    # Calls of ours
    def claim(self, items: Mapping[Ino, Key | None], name: Name | None = None, going: Collection[ItemId] = ()) -> bool:
        """Mark inodes, and the items that they stand for, as busy; False where one is already.

        An item's identity may go from one inode to another while a call for it is under way.
        name: what the call gives to its item at Box; nobody else may be sent there until the answer is in.
        going: folders that it removes; what is just being put into one is waited for, as it goes along then.
        """
        if not self.busy.isdisjoint(items) or any(key in self._busy_items for key in items.values()):
            return False
        if any(folder_id in going for folder_id, _ in self._busy_names):
            return False
        if name is not None:
            if name in self._busy_names:
                return False
            self._busy_names[name] = next(iter(items))
        self.busy.update(items)
        self._busy_items.update({key: ino for ino, key in items.items() if key is not None})
        return True

    def expect(self, ino: Ino, name: Name) -> None:
        """The call under way for the inode is about to give this name too: news of who has it wait for the answer."""
        if ino in self.busy:
            self._busy_names.setdefault(name, ino)

    def caller_about(self, ino: Ino, key: Key) -> Ino | None:
        """Return whose call under way is about the inode, or about the item that it stands for."""
        return ino if ino in self.busy else self._busy_items.get(key)

    @contextmanager
    def answering(self, ino: Ino, key: Key) -> Iterator[None]:
        """What is told now of the inode and the item is the answer of the call under way, and does not wait for it."""
        was_busy, caller = ino in self.busy, self._busy_items.pop(key, None)
        self.busy.discard(ino)
        try:
            yield
        finally:
            if was_busy:
                self.busy.add(ino)
            if caller is not None:
                self._busy_items[key] = caller

    def maker_of(self, item: Item) -> Ino | None:
        """Return whose call under way may have made an item that nobody here knows."""
        return self._busy_names.get((item.parent_id, fold(item.name))) if item.parent_id is not None else None

    def is_naming(self) -> bool:
        """Tell whether a call under way gives an item a name."""
        return bool(self._busy_names)

    def defer(self, ino: Ino, item: Item) -> None:
        held = self._deferred.setdefault(ino, {})
        if not older(item, held.get(item.key)):
            held[item.key] = item

    def has_news(self, ino: Ino) -> bool:
        return ino in self._deferred

    def release(self, inos: Iterable[Ino]) -> list[Item]:
        """The calls for these inodes are over: return what was deferred."""
        out: list[Item] = []
        over = set(inos)
        self._busy_items = {key: ino for key, ino in self._busy_items.items() if ino not in over}
        self._busy_names = {name: ino for name, ino in self._busy_names.items() if ino not in over}
        for ino in over:
            self.busy.discard(ino)
            out.extend(self._deferred.pop(ino, {}).values())
        return out

    # Listings
    def listing_begins(self, folder_id: ItemId) -> ListingUnderWay:
        listing = ListingUnderWay(folder_id)
        self._listings.append(listing)
        return listing

    def listing_ends(self, listing: ListingUnderWay) -> None:
        with suppress(ValueError):
            self._listings.remove(listing)

    def note(self, item: Item) -> None:
        """Something was told of an item, by an event or a reply."""
        for listing in self._listings:
            if not older(item, listing.news.get(item.key)):
                listing.news[item.key] = item

    # What has gone
    def bury(self, key: Key, sequence_id: int | None) -> None:
        if sequence_id is None:
            return
        self._buried[key] = max(sequence_id, self._buried.pop(key, sequence_id))
        if len(self._buried) > BURIED:
            self._buried.popitem(last=False)

    def is_buried(self, item: Item) -> bool:
        at = self._buried.get(item.key)
        return at is not None and item.sequence_id is not None and item.sequence_id <= at

    def unbury(self, key: Key) -> None:
        self._buried.pop(key, None)

    # Events
    def is_seen(self, event_id: str) -> bool:
        return event_id in self._seen

    def seen(self, event_ids: Iterable[str]) -> None:
        """These were taken in, and that is on disk."""
        self._seen.update(dict.fromkeys(event_ids))
        while len(self._seen) > SEEN:
            self._seen.popitem(last=False)


def older(new: Item, held: Item | None) -> bool:
    """Tell whether `new` says less than what is held (box-api.md section 5.1: sequence_id counts an item's changes)."""
    return (
        held is not None
        and new.sequence_id is not None
        and held.sequence_id is not None
        and new.sequence_id < held.sequence_id
    )
