"""Attempts: what we have begun to send and may be at Box although no reply said so.  Part of the state on disk.

An upload whose reply was lost (or after which the process died) shows later as somebody's new content under our file's
name.  Its sha1 tells that it is our own, even where the file was edited again since.  A chunked upload keeps its
session and the parts that Box has, so that it goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from boxfs.base.types import Ino, Part, UploadSession
from boxfs.core.change import Change
from boxfs.core.node import Node
from boxfs.core.tree import Tree


@dataclass(frozen=True, slots=True)
class Target:
    """What a session was opened for.

    kind: "new", or the id of the file that gets a version.  name: that it was to have, "" to leave it.
    """

    kind: str
    parent_id: str = ""
    name: str = ""


def begin(
    tree: Tree, ino: Ino, edit: int, sha1: str, session: UploadSession | None = None, target: Target | None = None
) -> None:
    """Remember that the bytes with this digest are on their way, power cut or not.

    With the attempt all that was done to names before it is on the disk: what Box learns of us is never ahead of what
    we know after a power cut, where it would be taken for somebody else's and sent twice.
    """
    node = tree.node(ino)
    content = node.content if node is not None else None
    text = json.dumps(
        {
            "sha1": sha1,
            "spool": content.spool if content is not None and content.edit == edit else None,
            "session": None if session is None else asdict(session),
            "target": None if target is None else asdict(target),
        }
    )
    with tree.change(frees=True) as change:
        change.run(tree.records.save_session, ino, edit, text)
    tree.sync()


def end(change: Change, ino: Ino) -> None:
    change.run(change.tree.records.drop_session, ino)


def inherit(change: Change, old: Ino, new: Ino) -> None:
    """The item that bytes of `old` were begun to be sent to stands for `new` now: who knows what may be there."""
    held = change.tree.records.session(old)
    if held is not None and change.tree.records.session(new) is None:
        change.run(change.tree.records.save_session, new, *held)
        end(change, old)


def sent_sha1(tree: Tree, ino: Ino) -> str | None:
    """Return the digest of the bytes last begun to be sent for this inode."""
    with tree.lock:
        held = tree.records.session(ino)
    return json.loads(held[1])["sha1"] if held is not None else None


def is_this_edit(tree: Tree, node: Node, sha1: str | None) -> bool:
    """Tell whether the node's present content is the very edit that was begun to be sent with that digest.

    If its bytes have another digest by now, then the disk has lost them in a power cut.
    """
    content = node.content
    with tree.lock:
        held = tree.records.session(node.ino)
    if held is None or content is None or sha1 is None:
        return False
    known = json.loads(held[1])
    return (known["sha1"], known.get("spool"), held[0]) == (sha1, content.spool, content.edit)


def forget_stale(change: Change) -> None:
    """At the start: drop what was noted of nodes that have nothing to send, as numbers of spools may be used again."""
    for ino, _, _ in change.tree.records.sessions():
        node = change.node(Ino(ino))
        if node is None or node.content is None:
            end(change, Ino(ino))


def session(tree: Tree, ino: Ino, sha1: str, kind: str) -> tuple[UploadSession, list[Part]] | None:
    """Return the session that was opened for exactly these bytes, with the parts that Box has acknowledged.

    kind: that of its target, which must be the same.
    """
    with tree.lock:
        held = tree.records.session(ino)
        if held is None:
            return None
        known = json.loads(held[1])
        if known["session"] is None or known["sha1"] != sha1 or known["target"]["kind"] != kind:
            return None
        return UploadSession(**known["session"]), [Part(**json.loads(text)) for _, text in tree.records.parts(ino)]


def any_session(tree: Tree, ino: Ino) -> UploadSession | None:
    """Return the session that this inode left open, whatever it was for."""
    with tree.lock:
        held = tree.records.session(ino)
    known = json.loads(held[1]) if held is not None else None
    return UploadSession(**known["session"]) if known and known["session"] else None


def target(tree: Tree, ino: Ino) -> Target | None:
    with tree.lock:
        held = tree.records.session(ino)
    known = json.loads(held[1]) if held is not None else None
    return Target(**known["target"]) if known and known["target"] else None


def part_done(tree: Tree, ino: Ino, part: Part) -> None:
    with tree.change(frees=True) as change:
        change.run(tree.records.save_part, ino, part.offset, json.dumps(asdict(part)))


def forget_all(tree: Tree) -> None:
    """Nothing is pending: what was begun once is over, also that of inodes which have gone since."""
    with tree.change() as change:
        for ino, _, _ in tree.records.sessions():
            end(change, Ino(ino))
