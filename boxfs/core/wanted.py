"""Wanted: how a node differs from what Box last told.  A pure function; the tree calls it at every change."""

from __future__ import annotations

from boxfs.base.types import ROOT_INO, Kind
from boxfs.core import attributes, names
from boxfs.core.node import Node, Wanted
from boxfs.core.options import CoreOptions
from boxfs.core.shown import shown_name

_SECOND = 1_000_000_000  # Box keeps whole seconds


def wanted(node: Node, parent: Node | None, options: CoreOptions) -> Wanted:
    """Return what Box must be told.  parent: the node of `node.parent`, None where that is None.

    A file that Box never had wants CREATE alone (its upload carries name, place, time and bytes); what else must follow
    shows once it has been created.
    """
    if node.ino == ROOT_INO:
        return Wanted.NOTHING
    remote = node.remote
    if node.parent is None:
        return Wanted.NOTHING if remote is None or remote.trashed else Wanted.DELETE
    if remote is None:
        return Wanted.CREATE
    if remote.trashed:
        return Wanted.CREATE if node.content is not None or node.is_folder else Wanted.NOTHING
    want = Wanted.NOTHING
    if node.content is not None:
        want |= Wanted.CONTENT
    if not in_place(node, parent):
        want |= Wanted.PLACE
    if node.content is None and node.kind is Kind.FILE and time_differs(node):
        want |= Wanted.TIME
    if attributes.changes(node, options):
        want |= Wanted.PROPERTIES
    return want


def in_place(node: Node, parent: Node | None) -> bool:
    """Tell whether Box has the item under the name and in the folder where the mount shows it."""
    remote = node.remote
    assert remote is not None
    if remote.name != node.name or node.mark:
        if shown_name(remote) != node.name:
            return False
        if node.mark != names.mark_of(remote.name):
            return False
    if parent is None or remote.parent_id is None:  # Box names no parent of what is shared into the root
        return True
    return parent.item_id == remote.parent_id


def time_differs(node: Node) -> bool:
    told_ns = node.remote.content_modified_ns if node.remote is not None else None
    if told_ns is None:
        return False
    return max(node.mtime_ns, 0) // _SECOND != max(told_ns, 0) // _SECOND  # Box takes none before 1970


def box_name(node: Node) -> str:
    """Return the name that Box is to hold for the node."""
    if node.kind is Kind.WEB_LINK and node.name.endswith(".url") and node.remote is not None:
        bare = node.name.removesuffix(".url")
        return names.to_box(node.name if node.remote.name.endswith(".url") else bare, node.mark)
    return names.to_box(node.name, node.mark)
