"""Extended attributes: the user's own, kept with the node (and at Box, by policy), and Box's facts as user.box.*.

    user.box.id, .type, .sha1, .version, .etag, .url, .shared_link, .lock, .owner, .description, .tags    as Box told
    user.box.state    clean, cached (clean, and all of its bytes are here), dirty, uploading, conflict, or "error: " and
                      the reason

description and tags (words between commas) can be set, which is a call to Box that the program waits for; the other
facts cannot.  Other name spaces than user. are not supported (fuse-notes.md, section 3e: being
asked for security.capability at every write is what costs).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from boxfs.base.errors import InvalidArgument, NameTaken, NoAttribute, NotPermitted, NotSupported, TooBig
from boxfs.base.types import Ino, Item, Kind
from boxfs.core import attributes
from boxfs.core.fileio import FileIo
from boxfs.core.namespace import stirred
from boxfs.core.node import Node

XATTR_CREATE = 1
XATTR_REPLACE = 2
MAX_VALUE = 64 << 10
MAX_NAME = 255

PREFIX = "user."
BOX = "user.box."


def _url(item: Item) -> str | None:
    if item.kind is Kind.WEB_LINK:
        return item.url
    return f"https://app.box.com/{item.kind}/{item.id}"


_FACTS: dict[str, Callable[[Item], object]] = {
    "id": lambda item: item.id,
    "type": lambda item: item.kind.value,
    "sha1": lambda item: item.sha1,
    "version": lambda item: item.version_id,
    "etag": lambda item: item.etag,
    "url": _url,
    "shared_link": lambda item: item.shared_link or None,
    "lock": lambda item: json.dumps(dict(item.lock), sort_keys=True) if item.lock else None,
    "owner": lambda item: item.owner,
    "description": lambda item: item.description or None,
    "tags": lambda item: ",".join(item.tags) if item.tags else None,
}


_WRITABLE = (BOX + "description", BOX + "tags")


class Xattrs(FileIo):
    def getxattr(self, ino: Ino, name: str) -> bytes:
        self._refuse_others(name)
        node = self._node(ino)
        if name.startswith(BOX):
            value = self._fact(node, name.removeprefix(BOX))
            if value is None:
                raise NoAttribute(f"no attribute {name}")
            return value.encode("utf-8", "surrogateescape")
        text = node.xattrs.get(name)
        if text is None:
            raise NoAttribute(f"no attribute {name}")
        return attributes.decode_value(text)

    def listxattr(self, ino: Ino) -> Sequence[str]:
        node = self._node(ino)
        facts = [BOX + name for name in (*_FACTS, "state") if self._fact(node, name) is not None]
        return [*node.xattrs, *facts]

    def setxattr(self, ino: Ino, name: str, value: bytes, flags: int) -> None:
        self._refuse_others(name)
        if name in _WRITABLE:
            self._annotate(ino, name, value, flags)
            return
        self._refuse_facts(name)
        if len(name) == len(PREFIX):
            raise InvalidArgument("an attribute needs a name")
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME or len(value) > MAX_VALUE:
            raise TooBig("the attribute is too large")
        node = self._node(ino)
        self._may_write(node)
        if flags & XATTR_CREATE and name in node.xattrs:
            raise NameTaken(f"{name} is there already")
        if flags & XATTR_REPLACE and name not in node.xattrs:
            raise NoAttribute(f"no attribute {name}")
        self._put_xattrs(ino, {name: attributes.encode_value(value)})

    def removexattr(self, ino: Ino, name: str) -> None:
        self._refuse_others(name)
        if name in _WRITABLE:
            self._annotate(ino, name, b"", XATTR_REPLACE)
            return
        self._refuse_facts(name)
        node = self._node(ino)
        self._may_write(node)
        if name not in node.xattrs:
            raise NoAttribute(f"no attribute {name}")
        self._put_xattrs(ino, {name: None})

    def _annotate(self, ino: Ino, name: str, value: bytes, flags: int) -> None:
        node = self._node(ino)
        self._may_rename(node)
        there = self._fact(node, name.removeprefix(BOX)) is not None
        if flags & XATTR_CREATE and there:
            raise NameTaken(f"{name} is there already")
        if flags & XATTR_REPLACE and not there:
            raise NoAttribute(f"no attribute {name}")
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise InvalidArgument(f"{name} is text in UTF-8") from None
        if name == BOX + "description":
            self.annotate(ino, text, None)
        else:
            self.annotate(ino, None, [tag.strip() for tag in text.split(",") if tag.strip()])

    def _put_xattrs(self, ino: Ino, changes: dict[str, str | None]) -> None:
        def changed(node: Node, now_ns: int) -> Node:
            merged = {**node.xattrs, **changes}
            kept = {name: value for name, value in merged.items() if value is not None}
            return replace(stirred(node, now_ns), xattrs=kept)

        self._change_node(ino, changed)

    def _refuse_others(self, name: str) -> None:
        if not name.startswith(PREFIX) or self.options.attributes == "off":
            raise NotSupported("only attributes of the name space user. are kept")

    def _refuse_facts(self, name: str) -> None:
        if name.startswith(BOX):
            raise NotPermitted(f"{name} is a fact of Box's and cannot be set")

    def _fact(self, node: Node, name: str) -> str | None:
        if name == "state":
            return self.state(node)
        fact = _FACTS.get(name)
        value = fact(node.remote) if fact is not None and node.remote is not None else None
        return None if value is None else str(value)

    def state(self, node: Node) -> str:
        """Return the state of a node in a word, or "error: " and the reason."""
        if node.error is not None:
            return f"error: {node.error}"
        if self.is_uploading(node.ino):
            return "uploading"
        file = self.files.live(node.ino)
        if self.tree.is_pending(node.ino) or (file is not None and file.unsaved):
            return "conflict" if node.conflict_of is not None else "dirty"
        return "cached" if node.remote is not None and not node.is_folder and self.is_cached(node.remote) else "clean"
