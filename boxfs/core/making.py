"""Making: a call of the plan, looked at again, made, and its answer taken in.  No thread of its own.

    look again   the plan may be older than the tree: what is not wanted any more as planned is left alone
    call Box     with no lock held
    take in      the reply, in one transaction with the end of what was pending
What Box refuses because it has moved on goes to core/conflicts.py; all else is raised, for core/sending.py to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from boxfs.base.errors import Changed, Denied, InDoubt, NameTaken, NotEmpty, NotFound
from boxfs.base.types import Ino, Item, ItemId, Kind
from boxfs.core import attempts, attributes
from boxfs.core.bodies import BaseGone, Contents
from boxfs.core.calls import Call, Delete, MakeFolder, SetProperties, Update, Upload, UploadVersion
from boxfs.core.change import Change
from boxfs.core.conflicts import Conflicts
from boxfs.core.incoming import Incoming
from boxfs.core.names import mark_of
from boxfs.core.node import Node, Wanted
from boxfs.core.remote import Remote
from boxfs.core.shown import shown_name
from boxfs.core.tree import Tree
from boxfs.core.uploading import Prepared, Uploading
from boxfs.core.wanted import box_name, time_differs


class Making:
    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        incoming: Incoming,
        contents: Contents,
        *,
        stopped: Callable[[], bool],
        progress: Callable[[Ino, int, int], None],
    ) -> None:
        self._tree, self._remote, self._incoming = tree, remote, incoming
        self._conflicts = Conflicts(tree, remote, incoming)
        self.uploading = Uploading(tree, remote, contents, stopped=stopped, progress=progress)

    def make(self, call: Call) -> int:
        """Return how many bytes Box took.  Raises what Box, the network or the disk has against it."""
        node = self._still(call)
        if node is None:
            return 0
        match call:
            case Upload():
                return self._upload(call, node)
            case UploadVersion():
                return self._upload_version(call, node)
            case MakeFolder():
                self._make_folder(call, node)
            case Update():
                self._update(call, node)
            case Delete():
                self._delete(call, node)
            case SetProperties():
                self._set_properties(call, node)
        return 0

    def _still(self, call: Call) -> Node | None:
        """Return the node, if it still wants what is planned."""
        with self._tree.lock:
            node = self._tree.node(call.ino)
            if node is None:
                return None
            wanted = self._tree.wanted(node)
            above = self._tree.node(node.parent) if node.parent is not None else None
            match call:
                case MakeFolder() | Upload():
                    there = above is not None and above.item_id == call.parent_id and box_name(node) == call.name
                    ok = Wanted.CREATE in wanted and there
                case UploadVersion():
                    ok = Wanted.CONTENT in wanted and node.item_id == call.file_id
                    ok = ok and (call.name is None or box_name(node) == call.name)
                case Update(aside=True):
                    ok = node.item_id == call.item_id and bool(wanted & (Wanted.PLACE | Wanted.DELETE))
                case Update():
                    ok = node.item_id == call.item_id and bool(wanted & (Wanted.PLACE | Wanted.TIME))
                    ok = ok and (call.name is None or box_name(node) == call.name)
                    ok = ok and (call.parent_id is None or (above is not None and above.item_id == call.parent_id))
                case Delete():
                    nodes = [self._tree.node(ino) for ino in call.covers]
                    ok = node.item_id == call.item_id
                    ok = ok and all(n is not None and Wanted.DELETE in self._tree.wanted(n) for n in nodes)
                case SetProperties():
                    ok = Wanted.PROPERTIES in wanted and node.item_id == call.item_id
            return node if ok else None

    def _make_folder(self, call: MakeFolder, node: Node) -> None:
        try:
            item = self._remote.create_folder(call.parent_id, call.name)
        except NameTaken as error:
            self._conflicts.name_taken(node, call.parent_id, call.name, error.holder, None)
            return
        except NotFound:
            self._conflicts.folder_missing(call.parent_id)
            return
        with self._tree.change(frees=True) as change:
            self._taken_in(change, node, item)

    def _upload(self, call: Upload, node: Node) -> int:
        with self.uploading.prepared(node) as prepared:
            try:
                item = self._copied(call, prepared) or self.uploading.new_file(
                    node, prepared, call.parent_id, call.name
                )
            except NameTaken as error:
                self._conflicts.name_taken(node, call.parent_id, call.name, error.holder, prepared)
                return 0
            except NotFound:
                self._conflicts.folder_missing(call.parent_id)
                return 0
            except BaseGone:
                self._conflicts.base_gone(node, call.parent_id, call.name)
                return 0
            # A version that Box copied may be longer than what is left of it here: then our bytes follow as a version.
            same = item.size in (None, prepared.source.size)
            same = same and (prepared.source.is_copy or item.sha1 in (None, prepared.sha1))
            place = not self._is_older_name(node, item, call.name)
            with self._tree.change(frees=True) as change:
                now = self._taken_in(change, node, item, prepared.edit if same else None, place=place)
                self._conflicts.served(change, node)
                if now is not None and prepared.source.is_copy and same and not now.times_set:
                    change.put(replace(now, mtime_ns=item.content_modified_ns or now.mtime_ns))
            return prepared.source.size

    def _copied(self, call: Upload, prepared: Prepared) -> Item | None:
        origin = prepared.source.copied_from
        if not prepared.source.is_copy or origin is None:
            return None
        known = self._tree.by_item(Kind.FILE, origin[0])
        remote = known.remote if known is not None else None
        if remote is not None and remote.version_id == origin[1] and remote.size != prepared.source.size:
            return None  # cut since it was copied
        try:
            return self.uploading.copy(prepared.source, call.parent_id, call.name)
        except NotFound:
            return None  # the original is gone: what is cached of it may do

    def _upload_version(self, call: UploadVersion, node: Node) -> int:
        with self.uploading.prepared(node) as prepared:
            assert node.remote is not None
            assert node.content is not None
            try:
                if self._conflicts.met(node, prepared):
                    return 0
                item = self.uploading.new_version(
                    node, prepared, call.file_id, node.content.base_etag or node.remote.etag, call.name
                )
            except (Changed, InDoubt) as error:
                self._conflicts.look(node, prepared, error)
                return 0
            except BaseGone:
                parent_id = node.remote.parent_id
                assert parent_id is not None
                self._conflicts.base_gone(node, parent_id, call.name or node.remote.name)
                return 0
            except NotFound:
                self._conflicts.refused(node)
                return 0
            except NameTaken as error:
                assert node.remote.parent_id is not None
                self._conflicts.name_taken(node, node.remote.parent_id, call.name or node.name, error.holder, None)
                return 0
            asked = (call.name or node.remote.name, node.remote.parent_id)
            place = not self._is_older_name(node, item, asked[0])
            if not place:
                asked = (item.name, asked[1])
            with self._tree.change(frees=True) as change:
                self._taken_in(change, node, item, prepared.edit, asked=asked, place=place)
            return prepared.source.size

    def _update(self, call: Update, node: Node) -> None:
        remote = node.remote
        assert remote is not None
        try:
            item = self._remote.update(
                call.kind,
                call.item_id,
                name=call.name,
                parent_id=call.parent_id,
                mtime_ns=node.mtime_ns if call.set_time else None,
                etag=remote.etag,
            )
        except Changed:
            self._conflicts.refetch(node)
            return
        except NotFound:
            if call.parent_id is None:
                self._conflicts.refused(node)
            elif self._conflicts.item_missing(node):
                self._conflicts.folder_missing(call.parent_id)
            return
        except NameTaken as error:
            if call.aside:
                raise
            parent_id = call.parent_id or remote.parent_id
            assert parent_id is not None
            self._conflicts.name_taken(node, parent_id, call.name or remote.name, error.holder, None)
            return
        with self._tree.change(frees=True) as change:
            asked = (call.name or remote.name, call.parent_id or remote.parent_id)
            now = self._taken_in(change, node, item, asked=asked, place=not call.aside)
            if call.set_time and now is not None:
                self._time_was_sent(change, now, node.mtime_ns)

    def _time_was_sent(self, change: Change, now: Node, mtime_ns: int) -> None:
        """A Box that keeps another time than it was sent is not asked for ever: what it keeps shows in due time."""
        if now.remote is not None and now.mtime_ns == mtime_ns and time_differs(now):
            change.put(replace(now, remote=replace(now.remote, content_modified_ns=mtime_ns)))

    def _delete(self, call: Delete, node: Node) -> None:
        remote = node.remote
        assert remote is not None
        if call.kind is Kind.FOLDER and len(call.covers) > 1 and not node.is_listed:
            self._incoming.listed(node.ino)
            return
        etag = remote.etag if call.kind is not Kind.FOLDER else None
        try:
            self._remote.delete(call.kind, call.item_id, etag=etag, recursive=len(call.covers) > 1)
        except Changed:
            self._conflicts.refetch(node)
            return
        except NotEmpty:
            with self._tree.change() as change:
                now = change.node(node.ino)
                if now is None:
                    return
                change.put(replace(now, complete=True, stale="Box has more in it than we knew"))
            self._incoming.listed(node.ino)
            more = {below.ino for below in self._tree.pending_below(call.item_id)} - set(call.covers)
            if self._still(call) is not None and not more:
                raise Denied("Box has something in the folder that it does not show to us") from None
            return
        except NotFound:
            pass
        with self._tree.change(frees=True) as change:
            for ino in call.covers:
                gone = change.node(ino)
                if gone is None or gone.parent is not None or gone.remote is None:
                    continue
                self._incoming.memory.note(replace(gone.remote, trashed=True))
                self._incoming.memory.bury(gone.remote.key, gone.remote.sequence_id)
                attempts.end(change, ino)
                change.remove(ino)

    def _set_properties(self, call: SetProperties, node: Node) -> None:
        assert node.remote is not None
        changes = attributes.changes(node, self._tree.options)
        try:
            now = self._remote.set_properties(call.kind, call.item_id, changes, known=node.remote.properties)
        except NotFound:
            self._conflicts.refused(node)
            return
        with self._tree.change(frees=True) as change:
            current = change.node(call.ino)
            if current is not None and current.remote is not None and current.item_id == call.item_id:
                # As we set them, whatever Box made of it: else what it does not keep would be sent again and again.
                kept = {**now, **{key: value for key, value in changes.items() if value is not None}}
                kept = {key: value for key, value in kept.items() if changes.get(key, value) is not None}
                item = replace(current.remote, properties=kept)
                change.put(replace(current, remote=item, attempts=0, not_before_ns=0, error=None))

    def _is_older_name(self, node: Node, item: Item, name: str) -> bool:
        """Tell whether an upload in parts gave the file the name that it had when it began; a rename follows."""
        target = attempts.target(self._tree, node.ino)
        return target is not None and item.name == target.name != name

    # Taking in
    def _taken_in(
        self,
        change: Change,
        before: Node,
        item: Item,
        edit: int | None = None,
        *,
        asked: tuple[str, ItemId | None] = ("", None),
        place: bool = True,
    ) -> Node | None:
        """What Box answered, and the name that it gave."""
        old = before.remote
        if old is not None and old.key == item.key and (item.name, item.parent_id) != asked:
            self._conflicts.answered_otherwise(change, before, item)
            before = change.node(before.ino) or before
        self._incoming.memory.note(item)
        self._incoming.memory.unbury(item.key)
        attempts.end(change, before.ino)
        now = change.acknowledge(before.ino, item, edit)
        if item.kind is Kind.FILE and item.version_id is None and edit is not None:
            change.after.append(lambda: self._incoming.ask_for([item.key]))  # else the bytes could not be read
        if now is None or not place or now.ino != before.ino:
            return now
        unmoved = (now.parent, now.name) == (before.parent, before.name)
        if before.remote is not None and before.remote.name == item.name:
            return now  # Box was not asked for another name (the file was renamed here after the call was planned)
        if unmoved and now.parent is not None and now.remote is not None and item.name != box_name(now):
            shown = shown_name(item)
            if change.holder(now.parent, shown) in (None, now):
                change.entry_gone(now.parent, now.name)
                change.entry_appeared(now.parent, shown)
                now = change.put(replace(now, name=shown, mark=mark_of(item.name)))
        return now
