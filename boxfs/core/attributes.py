"""Attributes that Box has no word for, as keys of `global.properties` (box-api.md section 17), and back.

    boxfs.mode     permission bits, octal           boxfs.uid, boxfs.gid   decimal
    boxfs.type     symlink, fifo, socket, char, block     boxfs.target     of a symlink
    boxfs.rdev     decimal                          boxfs.mtime            nanoseconds, decimal
    boxfs.xattr.N  value of user's attribute N

Values are text; bytes that are no UTF-8, or text that begins with "base64:", are written "base64:...".

Which of them are worth a call (`worth`) is decided so that cp -r, rsync -a, tar x and git clone cost none for ordinary
files: with attributes=auto a mode counts only where a file's executable bits or any setuid, setgid, sticky bit differ
from the default, and times do not count.  Once a call is due, all of them go with it.  The executable bit of a name
that ends in ".sample" does not count either: git puts thirteen such hooks into every clone, which nobody runs.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from dataclasses import replace

from boxfs.base.types import Item, Kind
from boxfs.core.node import Node
from boxfs.core.options import CoreOptions

PREFIX = "boxfs."
SAMPLE = ".sample"
_XATTR = PREFIX + "xattr."
_TYPES = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
_BITS = {name: bits for bits, name in _TYPES.items()}


def default_mode(node: Node, options: CoreOptions) -> int:
    """Permission bits of a node whose own are not set."""
    if node.kind is Kind.FOLDER:
        return 0o777 & ~options.dmask
    if node.kind is Kind.WEB_LINK:
        return 0o444 & ~options.fmask
    if node.kind_bits == stat.S_IFLNK:
        return 0o777
    return 0o666 & ~options.fmask


def stored(node: Node, options: CoreOptions) -> dict[str, str]:
    """Return all that Box could keep of the node."""
    out: dict[str, str] = {}
    if node.kind_bits:
        out["boxfs.type"] = _TYPES[node.kind_bits]
        if node.target is not None:
            out["boxfs.target"] = encode_value(os.fsencode(node.target))
        if node.rdev:
            out["boxfs.rdev"] = str(node.rdev)
    if node.mode is not None and node.mode != default_mode(node, options):
        out["boxfs.mode"] = f"{node.mode:04o}"
    if node.uid is not None and node.uid != options.uid:
        out["boxfs.uid"] = str(node.uid)
    if node.gid is not None and node.gid != options.gid:
        out["boxfs.gid"] = str(node.gid)
    for name, value in node.xattrs.items():
        out[_XATTR + name] = value
    if node.times_set and (node.kind is Kind.FOLDER or node.mtime_ns % 1_000_000_000):
        out["boxfs.mtime"] = str(node.mtime_ns)
    return out


def changes(node: Node, options: CoreOptions) -> dict[str, str | None]:
    """Return what to set and, with None, to remove at Box; {} where nothing of it is worth a call."""
    if not options.stores_attributes or node.kind is Kind.WEB_LINK or node.remote is None:
        return {}
    known = node.remote.properties or {}
    if not known and _plain(node):  # the usual case, without making dicts
        return {}
    want = stored(node, options)
    out: dict[str, str | None] = {key: value for key, value in want.items() if known.get(key) != value}
    for key in known:
        if key.startswith(PREFIX) and key not in want:
            out[key] = None
    return out if any(_worth(key, value, node, options) for key, value in out.items()) else {}


def _plain(node: Node) -> bool:
    return (
        node.mode is None
        and not node.kind_bits
        and not node.xattrs
        and node.uid is None
        and node.gid is None
        and not node.times_set
    )


def _worth(key: str, value: str | None, node: Node, options: CoreOptions) -> bool:
    if key == "boxfs.mtime":
        return options.attributes == "store"
    if options.attributes == "store":
        return True
    if key == "boxfs.mode":
        before = (node.remote.properties or {}).get(key) if node.remote is not None else None
        default = default_mode(node, options)
        old = _octal(before, default)
        new = _octal(value, default)
        return _telling(old, node) != _telling(new, node)
    # Owners come along with rsync -a and tar as root; only a policy of "store" means them.
    return key not in ("boxfs.uid", "boxfs.gid")


def _telling(mode: int, node: Node) -> tuple[bool, int]:
    """What of a mode is worth a call under attributes=auto."""
    runs = node.kind is Kind.FILE and bool(mode & 0o100) and not node.name.endswith(SAMPLE)
    return (runs, mode & 0o7000)


def _octal(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text, 8) & 0o7777
    except ValueError:
        return default


def applied(node: Node, item: Item, options: CoreOptions) -> Node:
    """Return the node with what the item's properties say; for one that holds no change of its own."""
    properties = item.properties
    if not properties or not options.stores_attributes:
        return node
    mode = properties.get("boxfs.mode")
    bits = _BITS.get(properties.get("boxfs.type", ""), 0) if node.kind is Kind.FILE else 0
    target = properties.get("boxfs.target") if bits == stat.S_IFLNK else None
    if bits == stat.S_IFLNK and target is None:
        bits = 0
    mtime = _number(properties.get("boxfs.mtime"))
    if mtime is not None and node.kind is not Kind.FOLDER and mtime // 1_000_000_000 != node.mtime_ns // 1_000_000_000:
        mtime = None  # the file was changed by somebody who knows nothing of these keys
    link = None if target is None else os.fsdecode(decode_value(target))
    return replace(
        node,
        mode=None if mode is None else _octal(mode, default_mode(node, options)),
        uid=_number(properties.get("boxfs.uid")),
        gid=_number(properties.get("boxfs.gid")),
        kind_bits=bits,
        target=link,
        size=len(os.fsencode(link)) if link is not None else node.size,
        rdev=_number(properties.get("boxfs.rdev")) or 0,
        xattrs=xattrs_of(properties),
        mtime_ns=node.mtime_ns if mtime is None else mtime,
        times_set=mtime is not None,
    )


def xattrs_of(properties: Mapping[str, str]) -> dict[str, str]:
    return {key[len(_XATTR) :]: value for key, value in properties.items() if key.startswith(_XATTR)}


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def encode_value(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "base64:"
    if text.startswith("base64:") or "\0" in text:
        return "base64:" + base64.b64encode(value).decode()
    return text


def decode_value(text: str) -> bytes:
    if text.startswith("base64:"):
        try:
            return base64.b64decode(text[7:], validate=True)
        except ValueError:
            pass
    return text.encode("utf-8", "surrogateescape")
