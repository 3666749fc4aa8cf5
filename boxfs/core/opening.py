"""Opening: the bytes of a node as it stands, ready to be read and written."""

from __future__ import annotations

from boxfs.base.errors import BadReply
from boxfs.base.types import Item, Kind
from boxfs.core.node import Content, Node
from boxfs.core.openfile import Base, OpenFile
from boxfs.core.shown import link_text
from boxfs.core.spooluse import SpoolUse
from boxfs.core.tree import Tree
from boxfs.store.extents import Extents


def file_of(node: Node, tree: Tree, spools: SpoolUse) -> OpenFile:
    """Return the node's bytes, its spool held.  Raises BadReply where Box has not said which they are."""
    remote, content = node.remote, node.content
    base: Base | None = None
    if content is not None and content.base is not None:
        file_id = content.base_file or (remote.id if remote is not None else None)
        assert file_id is not None
        same = remote is not None and remote.id == file_id and remote.version_id == content.base
        size = (remote.size or 0) if same and remote is not None else content.base_size
        base = Base(file_id, content.base, size, remote.sha1 if same and remote is not None else None)
    elif content is None and remote is not None and remote.kind is Kind.FILE and not node.kind_bits:
        if remote.version_id is None or remote.size is None:  # zeros, or nothing, would be a lie
            raise BadReply(f"Box did not say which version of {node.name!r} there is; it is asked again")
        base = Base(remote.id, remote.version_id, remote.size, remote.sha1)
    base_size = content.base_size if content is not None else (base.size if base is not None else 0)
    file = OpenFile(node, base, base_size, remote.etag if remote is not None else None)
    if content is not None:
        file.spool = spools.file(content.spool)
        file.saved_number = content.spool
        file.extents = Extents.from_text(tree.records.spool(content.spool) or "")
        spools.hold(content.spool)
    elif node.kind is Kind.WEB_LINK and remote is not None:
        file.static = link_text(remote)
    elif base is not None:
        file.size = base.size
    return file


def file_sent(node: Node, content: Content, item: Item, extents: str, spools: SpoolUse) -> OpenFile:
    """Return the bytes of a content that was uploaded just now while nobody had the file open, their spool held."""
    file = OpenFile(node, None, 0, item.etag)
    file.spool = spools.file(content.spool)
    file.saved_number = content.spool
    file.extents = Extents.from_text(extents)
    if content.base is not None:
        file.base = Base(content.base_file or item.id, content.base, content.base_size, None)
        file.base_size = content.base_size
    spools.hold(content.spool)
    return file
