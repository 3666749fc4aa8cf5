"""Recovery: what a process finds of the one before it, made whole before the first call is answered.

- A spool that belongs to other records (they were damaged, or removed by hand) is set aside, never swept.
- Spool files that no row names are remains of files that were never closed, or of what Box has: they go.
- A spool file that is shorter than its extents lost bytes in a power cut, before they were fsynced.  What was never
  promised is not sent: the file goes back to its last fsync; where there was none, one that Box has goes back to Box's
  version, a new one ends where its bytes end.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import replace

from boxfs.core import attempts
from boxfs.core.change import Change
from boxfs.core.node import Content, Node
from boxfs.core.tree import Tree
from boxfs.store.extents import Extents
from boxfs.store.records import synced_fact
from boxfs.store.spool import Spool

log = logging.getLogger(__name__)


def recover(tree: Tree, spool: Spool) -> None:
    _claim(tree, spool)
    stray = tree.records.spool_numbers() - tree.records.spools_of_nodes()
    with tree.change() as change:
        for number in stray:
            change.run(tree.records.drop_spool, number)
        attempts.forget_stale(change)
        for node in tree.pending():
            content = node.content
            if content is None:
                continue
            extents = Extents.from_text(tree.records.spool(content.spool) or "")
            held = spool.file(content.spool).size()
            if extents.stop <= held:
                continue
            path = tree.path(node.ino) or node.name
            if _as_synced(tree, change, node, content, held):
                log.warning("%s: what was written after its last fsync is lost in the power cut", path)
            elif node.remote is not None and not node.remote.trashed and node.parent is not None:
                log.warning("%s: what was written before the power cut is lost; Box's version stands", path)
                attempts.end(change, node.ino)
                change.put(replace(node, content=None, size=node.remote.size or 0, error=None))
            else:
                log.warning("%s: its end was lost in the power cut", path)
                extents.cut(held)
                change.run(tree.records.save_spool, content.spool, extents.to_text())
                change.put(replace(node, size=max(extents.stop, content.base_size)))
    orphans = spool.orphans(tree.records.spools_of_nodes())
    if orphans:
        tree.sync()  # a power cut must not bring back a row that names one of them
        for number in orphans:
            spool.remove(number)
        log.info("removed %d unfinished files of the last run", len(orphans))


def _as_synced(tree: Tree, change: Change, node: Node, content: Content, held: int) -> bool:
    """Make the file what it was at its last fsync; return whether there was one, and the disk has its bytes."""
    noted = tree.fact(synced_fact(content.spool))
    if noted is None:
        return False
    was = json.loads(noted)
    if Extents.from_text(was["extents"]).stop > held:
        return False
    base_file = was["base_file"] if was["base_file"] != node.item_id else None
    content = replace(content, base=was["base"], base_size=was["base_size"], base_file=base_file)
    change.run(tree.records.save_spool, content.spool, was["extents"])
    change.put(replace(node, content=content, size=was["size"]))
    return True


def _claim(tree: Tree, spool: Spool) -> None:
    """See that the spool is that of these records, by a name that both know."""
    name = tree.fact("spool")
    if name is None or spool.owner() != name:
        aside = spool.set_aside()
        if aside is not None:
            log.warning("contents that belong to no record were found and moved to %s", aside)
        name = name or secrets.token_hex(8)
        spool.set_owner(name)
        with tree.change() as change:
            change.set_fact("spool", name)
