"""Inode numbers: a pure function of what Box calls an item, or a count for what was made here.

    2 bits at the bottom: 0 counted here, 1 file, 2 folder, 3 web link (kinds may share an id).  Above them the number.

So a file that Box knew first has the same number in every mount, and after the cache was dropped.
"""

from __future__ import annotations

import hashlib

from boxfs.base.types import Ino, ItemId, Kind

_CODES = {Kind.FILE: 1, Kind.FOLDER: 2, Kind.WEB_LINK: 3}
_LIMIT = 1 << 60  # ids are decimal numbers; none near this was seen


def of_item(kind: Kind, item_id: ItemId) -> Ino:
    number = int(item_id) if item_id.isascii() and item_id.isdigit() else -1
    if not 0 < number < _LIMIT:
        number = _LIMIT | int.from_bytes(hashlib.blake2b(item_id.encode(), digest_size=7).digest()) & (_LIMIT - 1)
    return Ino(number << 2 | _CODES[kind])


def counted(count: int) -> Ino:
    """count: >= 1."""
    return Ino(count << 2)
