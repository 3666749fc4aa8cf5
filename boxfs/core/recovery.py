"""Recovery: what a process finds of the one before it, made whole before the first call is answered.

- A spool that belongs to other records (they were damaged, or removed by hand) is set aside, never swept.
- Spool files that no row names are remains of files that were never closed, or of what Box has: they go.
- A spool file that is shorter than its extents lost bytes in a power cut, before they were fsynced.  What was never
  promised is not sent: a file that Box has goes back to Box's version, a new one ends where its bytes end.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace

from boxfs.core import attempts
from boxfs.core.tree import Tree
from boxfs.store.extents import Extents
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
            if node.remote is not None and not node.remote.trashed and node.parent is not None:
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
