"""What changes the tree: create, new version, update, copy, trash, restore, purge, each with its event.

Handlers check form and rights; these functions check names and conflicts and keep the sums.  `etag` rises by one with
each change of an item (box-api.md section 5.1); parents stay as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from boxfs.emulator import busy, errors, names
from boxfs.emulator.context import Context
from boxfs.emulator.represent import lock_of, mini
from boxfs.emulator.store import Item

Told = Literal["object", "list", "none"]


@dataclass(frozen=True, slots=True)
class Content:
    """A content that the blobs hold, with what the uploader said of it."""

    sha1: str
    size: int
    created_at: int | None = None
    modified_at: int | None = None


def check_name(ctx: Context, name: object) -> str:
    return names.check(name, refuse_astral=ctx.settings.refuse_astral_names)


def require_free(ctx: Context, folder: int, name: str, told: Told, but: Item | None = None) -> None:
    """Raises 409 item_name_in_use where another item than `but` holds the name (traps 9, 11).

    told: how the conflict is shown: one object (uploads), a list (folder create), not at all (rename and move).
    """
    holder = ctx.store.child(folder, name)
    if holder is None or (but is not None and holder.pk == but.pk):
        return
    shown = mini(holder)
    raise errors.name_in_use(None if told == "none" else {"conflicts": shown if told == "object" else [shown]})


def require_space(ctx: Context, owner: int, size: int, *, one_file: bool = True) -> None:
    """Raises 403 file_size_limit_exceeded or storage_limit_exceeded."""
    if one_file and size > ctx.settings.max_upload_size:
        raise errors.ApiError(403, "file_size_limit_exceeded", "File size exceeds the folder owner's file size limit")
    user = ctx.store.user(owner)
    amount = ctx.settings.space_amount if user.space_amount is None else user.space_amount
    if user.space_used + size > amount:
        raise errors.ApiError(403, "storage_limit_exceeded", "Account storage limit reached")


def require_unlocked(ctx: Context, item: Item) -> None:
    """Raises 403 where someone else holds the file's lock."""
    lock = lock_of(ctx, item)
    if lock is not None and lock["created_by"]["id"] != str(ctx.user.id):
        raise errors.locked()


def record(ctx: Context, type_: str, item: Item) -> None:
    ctx.app.events.record(type_, ctx.user.id, item)


def create_folder(ctx: Context, parent: Item, name: str, told: Told = "list") -> Item:
    require_free(ctx, parent.number, name, told)
    busy.require_idle(ctx, parent.number)
    folder = _insert(ctx, "folder", parent, name)
    record(ctx, "ITEM_CREATE", folder)
    return folder


def create_file(ctx: Context, parent: Item, name: str, content: Content, description: str = "") -> Item:
    """Raises 409 with one object, 403 for the quota."""
    require_free(ctx, parent.number, name, "object")
    require_space(ctx, parent.owner, content.size)
    busy.require_idle(ctx, parent.number)
    file = add_file(ctx, parent, name, content, description=description)
    record(ctx, "ITEM_UPLOAD", file)
    return file


def add_file(ctx: Context, parent: Item, name: str, content: Content, **values: Any) -> Item:
    """A new file with its first version, and no event."""
    created = content.created_at if content.created_at is not None else ctx.now
    modified = content.modified_at if content.modified_at is not None else ctx.now
    number = ctx.store.next_number("file")
    version = _add_version(ctx, number, 1, name, content.sha1, content.size, modified)
    return _insert(
        ctx,
        "file",
        parent,
        name,
        number=number,
        size=content.size,
        sha1=content.sha1,
        version=version,
        version_number=1,
        content_created_at=created,
        content_modified_at=modified,
        **values,
    )


def create_web_link(ctx: Context, parent: Item, name: str, url: str, description: str = "") -> Item:
    require_free(ctx, parent.number, name, "object")
    link = _insert(ctx, "web_link", parent, name, url=url, description=description)
    record(ctx, "ITEM_CREATE", link)
    return link


def _insert(ctx: Context, kind: str, parent: Item, name: str, number: int | None = None, **values: Any) -> Item:
    row: dict[str, Any] = {
        "number": ctx.store.next_number(kind) if number is None else number,
        "kind": kind,
        "parent": parent.number,
        "owner": parent.owner,
        "name": name,
        "created_at": ctx.now,
        "modified_at": ctx.now,
        "content_created_at": ctx.now,
        "content_modified_at": ctx.now,
        "created_by": ctx.user.id,
        "modified_by": ctx.user.id,
    }
    item = ctx.store.insert_item(**(row | values))
    ctx.app.listings.changed(item.pk, None)
    _touch(ctx, item.parent)
    return item


def _touch(ctx: Context, folder: int | None) -> None:
    """A child of the folder changed: Box leaves the folder as it is, but for a knob."""
    row = ctx.store.by_pk(folder * 4) if folder is not None and folder > 0 else None
    if ctx.settings.children_change_parents and row is not None:
        ctx.store.update_item(row.pk, etag=row.etag + 1, modified_at=ctx.now)


def _add_version(ctx: Context, file: int, number: int, name: str, sha1: str, size: int, modified: int) -> int:
    version = ctx.store.next_number("version")
    ctx.store.db.execute(
        "INSERT INTO versions (id, file, number, sha1, name, size, created_at, modified_at, modified_by, "
        "content_modified_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (version, file, number, sha1, name, size, ctx.now, ctx.now, ctx.user.id, modified),
    )
    return version


def change(ctx: Context, item: Item, **values: Any) -> Item:
    """Change a row as one change of the item: etag and modified_at move on."""
    ctx.app.listings.changed(item.pk, item)
    values = {"etag": item.etag + 1, "modified_at": ctx.now, "modified_by": ctx.user.id} | values
    busy.require_idle(ctx, item.parent)
    _touch(ctx, item.parent)
    if values.get("parent", item.parent) != item.parent:
        busy.require_idle(ctx, values["parent"])
        _touch(ctx, values["parent"])
    if item.kind == "folder":
        busy.require_idle(ctx, item.number)
    return ctx.store.update_item(item.pk, **values)


def new_version(ctx: Context, file: Item, content: Content, name: str | None = None) -> Item:
    """Put a content in place.  The old version stays in the list of versions; content_created_at stays (trap 20)."""
    require_unlocked(ctx, file)
    if ctx.settings.same_content_is_no_version and content.sha1 == file.sha1 and name in (None, file.name):
        return file
    require_space(ctx, file.owner, content.size - file.size)
    if name is not None and name != file.name:
        assert file.parent is not None
        require_free(ctx, file.parent, name, "object", but=file)
    file = put_version(
        ctx, file, name or file.name, content.sha1, content.size,
        content.modified_at if content.modified_at is not None else ctx.now,
    )  # fmt: skip
    record(ctx, ctx.settings.event_new_version_type, file)
    return file


def put_version(ctx: Context, file: Item, name: str, sha1: str, size: int, modified: int) -> Item:
    """Make a new current version, without an event."""
    number = (file.version_number or 0) + 1
    version = _add_version(ctx, file.number, number, name, sha1, size, modified)
    ctx.store.grow(file.parent, size - file.size)
    ctx.store.use_space(file.owner, size - file.size)
    file = change(
        ctx, file, name=name, sha1=sha1, size=size, version=version, version_number=number,
        content_modified_at=modified,
    )  # fmt: skip
    _drop_old_versions(ctx, file)
    return file


def _drop_old_versions(ctx: Context, file: Item) -> None:
    rows = ctx.store.db.execute(
        "SELECT id, sha1 FROM versions WHERE file=? AND id<>? ORDER BY id DESC LIMIT -1 OFFSET ?",
        (file.number, file.version, ctx.settings.keep_versions),
    ).fetchall()
    for version, sha1 in rows:
        ctx.store.db.execute("DELETE FROM versions WHERE id=?", (version,))
        ctx.store.unused(sha1)


def update(ctx: Context, item: Item, *, name: str | None, parent: Item | None, **values: Any) -> Item:
    """Rename, move and change other columns as one change.  Raises 409 without details, 400 for cycles (trap 10)."""
    renamed = name is not None and name != item.name
    moved = parent is not None and parent.number != item.parent
    new_name = name if name is not None and renamed else item.name
    target = parent if parent is not None and moved else None
    if target is not None and item.kind == "folder" and _is_inside(ctx, target, item):
        raise errors.ApiError(400, "cyclical_folder_structure", "Moving a folder into itself or below is not possible")
    if renamed or moved:
        folder = target.number if target is not None else item.parent
        assert folder is not None
        told: Told = ctx.settings.update_conflicts  # type: ignore[assignment]
        require_free(ctx, folder, new_name, told, but=item)
    if not (renamed or moved or values):
        return item
    if renamed:
        values["name"] = new_name
    if target is not None:
        values["parent"] = target.number
        if item.kind != "web_link":
            ctx.store.grow(item.parent, -item.size)
            ctx.store.grow(target.number, item.size)
        if target.owner != item.owner:
            _give_away(ctx, item, target.owner)
            values["owner"] = target.owner
    old = item
    item = change(ctx, item, **values)
    if moved:
        users = ctx.app.access.watchers(old) | ctx.app.access.watchers(item)
        ctx.app.events.record("ITEM_MOVE", ctx.user.id, item, users=users)
        busy.keep(ctx, item, old.parent, item.parent)
    if renamed and (not moved or ctx.settings.event_move_and_rename):
        record(ctx, "ITEM_RENAME", item)
    return item


def _is_inside(ctx: Context, folder: Item, top: Item) -> bool:
    return folder.pk == top.pk or any(above.pk == top.pk for above in ctx.store.ancestors(folder))


def _give_away(ctx: Context, item: Item, owner: int) -> None:
    """What moves into another's folder becomes theirs, with all below."""
    for below in [item, *(ctx.store.subtree(item.number) if item.kind == "folder" else ())]:
        if below.kind == "file":
            ctx.store.use_space(below.owner, -below.size)
            ctx.store.use_space(owner, below.size)
        ctx.store.update_item(below.pk, owner=owner)


def copy(ctx: Context, item: Item, parent: Item, name: str) -> Item:
    """A copy with a new id, one version, etag 0 and the content times of the source.  Raises 409, 403."""
    require_free(ctx, parent.number, name, "list" if item.kind == "folder" else "object")
    require_space(ctx, parent.owner, item.size, one_file=item.kind == "file")
    busy.require_idle(ctx, parent.number)
    made = _copy(ctx, item, parent, name)
    busy.keep(ctx, made, parent.number)
    record(ctx, "ITEM_COPY", made)
    return made


def _copy(ctx: Context, item: Item, parent: Item, name: str) -> Item:
    if item.kind == "file":
        assert item.sha1 is not None
        content = Content(item.sha1, item.size, item.content_created_at, item.content_modified_at)
        return add_file(ctx, parent, name, content, description=item.description)
    if item.kind == "web_link":
        return _insert(ctx, "web_link", parent, name, url=item.url, description=item.description)
    below: dict[int | None, list[Item]] = {}
    for each in ctx.store.subtree(item.number):  # before the copy appears: it may land inside its source
        below.setdefault(each.parent, []).append(each)
    return _copy_folder(ctx, item, parent, name, below)


def _copy_folder(ctx: Context, item: Item, parent: Item, name: str, below: dict[int | None, list[Item]]) -> Item:
    made = _insert(ctx, "folder", parent, name, description=item.description)
    for child in below.get(item.number, ()):
        if child.kind == "folder":
            _copy_folder(ctx, child, made, child.name, below)
        else:
            _copy(ctx, child, made, child.name)
    return ctx.store.by_pk(made.pk) or made


def trash(ctx: Context, item: Item) -> None:
    """Put the item, with its whole tree, in the trash; or purge it where the account has none."""
    if not ctx.settings.trash:
        record(ctx, "ITEM_TRASH", item)
        purge(ctx, item)
        return
    ctx.store.grow(item.parent, -item.size)
    users = ctx.app.access.watchers(item)
    below = ctx.store.subtree(item.number) if ctx.settings.events_per_descendant and item.kind == "folder" else []
    etag = item.etag + 1 if ctx.settings.trash_bumps_etag else item.etag
    extra = {k: v for k, v in item.extra.items() if k != "shared_link"}
    item = change(
        ctx, item, trashed_at=ctx.now, trashed_by=ctx.user.id, etag=etag, modified_at=item.modified_at,
        modified_by=item.modified_by, extra=json.dumps(extra), lock=None,
    )  # fmt: skip
    for each in [item, *below]:
        ctx.app.events.record("ITEM_TRASH", ctx.user.id, each, users=users)
    busy.keep(ctx, item, item.parent)


def restore(ctx: Context, item: Item, parent: Item, name: str) -> Item:
    """Take a trashed item out, with its tree.  Raises 409."""
    require_free(ctx, parent.number, name, "object" if item.kind == "file" else "list")
    if parent.owner != item.owner:
        _give_away(ctx, item, parent.owner)
    item = change(
        ctx, item, trashed_at=None, trashed_by=None, parent=parent.number, name=name, owner=parent.owner,
        modified_at=item.modified_at, modified_by=item.modified_by,
    )  # fmt: skip
    ctx.store.grow(item.parent, item.size)
    below = ctx.store.subtree(item.number) if ctx.settings.events_per_descendant and item.kind == "folder" else []
    for each in [item, *below]:
        record(ctx, "ITEM_UNDELETE_VIA_TRASH", each)
    return item


def purge(ctx: Context, item: Item) -> None:
    """Remove for ever, with all below that was not trashed on its own.  No event tells of it."""
    if item.trashed_at is None:
        ctx.store.grow(item.parent, -item.size)
        ctx.app.listings.changed(item.pk, item)
    for each in [item, *(ctx.store.subtree(item.number) if item.kind == "folder" else ())]:
        if each.kind == "file":
            for (sha1,) in ctx.store.db.execute("SELECT sha1 FROM versions WHERE file=?", (each.number,)).fetchall():
                ctx.store.unused(sha1)
            ctx.store.db.execute("DELETE FROM versions WHERE file=?", (each.number,))
            ctx.store.use_space(each.owner, -each.size)
        ctx.store.db.execute("DELETE FROM items WHERE pk=?", (each.pk,))
        for hook in ctx.app.on_purge:
            hook(each)
