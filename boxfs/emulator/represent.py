"""How items, users and versions look in replies: base, mini, standard, or what `fields` asks for.

Each member of an item is a function (ctx, item) -> value in `MEMBERS`; areas add their own with `member`.  `fields`
replaces, it does not add (trap 4): type, id, etag and what was asked.  Names that a kind does not have are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from boxfs.emulator import times
from boxfs.emulator.access import FILE_RIGHTS, FOLDER_RIGHTS
from boxfs.emulator.context import Context
from boxfs.emulator.store import KINDS, Item

Member = Callable[[Context, Item], Any]
MEMBERS: dict[str, dict[str, Member]] = {kind: {} for kind in KINDS}
PREFIXES: dict[str, Callable[[Context, Item, Sequence[str]], Any]] = {}
"""Members with dotted names: "metadata" gets all of `metadata.x.y` that were asked, at once."""

ABSENT = object()
"""What a member gives that is left out of the reply."""

MINI = {
    "folder": "sequence_id name".split(),
    "file": "file_version sequence_id sha1 name".split(),
    "web_link": "sequence_id name url".split(),
}
_COMMON = (
    "created_at modified_at description size path_collection created_by modified_by trashed_at purged_at "
    "content_created_at content_modified_at owned_by shared_link"
).split()
STANDARD = {
    "folder": [*MINI["folder"], *_COMMON, "folder_upload_email", "parent", "item_status", "item_collection"],
    "file": [*MINI["file"], *_COMMON, "parent", "item_status"],
    "web_link": [
        *MINI["web_link"],
        *(n for n in _COMMON if n not in ("size", "content_created_at", "content_modified_at")),
        "parent",
        "item_status",
    ],
}


def member(*kinds: str, name: str | None = None) -> Callable[[Member], Member]:
    """Decorator: the function gives that member of these kinds (all, where none is named)."""

    def add(function: Member) -> Member:
        for kind in kinds or KINDS:
            MEMBERS[kind][name or function.__name__] = function
        return function

    return add


def standard(ctx: Context, item: Item, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The item as GET gives it: standard, or with `fields` base plus asked."""
    if fields is not None:
        return chosen(ctx, item, fields)
    members = MEMBERS[item.kind]
    reply = base(item)
    for name in STANDARD[item.kind]:
        reply[name] = members[name](ctx, item)
    return reply


def entry(ctx: Context, item: Item, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The item as listings give it: mini, or with `fields` base plus asked."""
    return mini(item) if fields is None else chosen(ctx, item, fields)


def base(item: Item) -> dict[str, Any]:
    return {"type": item.kind, "id": item.id, "etag": None if item.is_root else str(item.etag)}


def mini(item: Item) -> dict[str, Any]:
    etag = None if item.is_root else str(item.etag)
    reply: dict[str, Any] = {"type": item.kind, "id": item.id, "sequence_id": etag, "etag": etag, "name": item.name}
    if item.kind == "file":
        reply["sha1"] = item.sha1
        reply["file_version"] = {"type": "file_version", "id": str(item.version), "sha1": item.sha1}
    elif item.kind == "web_link":
        reply["url"] = item.url
    return reply


def chosen(ctx: Context, item: Item, fields: Sequence[str]) -> dict[str, Any]:
    members = MEMBERS[item.kind]
    reply = base(item)
    dotted: dict[str, list[str]] = {}
    for name in fields:
        builder = members.get(name)
        if builder is not None:
            value = builder(ctx, item)
            if value is not ABSENT:
                reply[name] = value
        elif "." in name and name.partition(".")[0] in PREFIXES:
            dotted.setdefault(name.partition(".")[0], []).append(name)
    for prefix, names in dotted.items():
        reply[prefix] = PREFIXES[prefix](ctx, item, names)
    return reply


def user_mini(ctx: Context, number: int) -> dict[str, Any]:
    try:
        user = ctx.store.user(number)
    except KeyError:  # deleted since
        return {"type": "user", "id": str(number), "name": "", "login": ""}
    return {"type": "user", "id": str(user.id), "name": user.name, "login": user.login}


def stamp(ctx: Context, seconds: int | None) -> str | None:
    return None if seconds is None else times.local(seconds, ctx.settings.timezone)


NOBODY = {"type": "user", "id": "", "name": "", "login": ""}
TRASH_FOLDER = {"type": "folder", "id": "1", "sequence_id": None, "etag": None, "name": "Trash"}
ROOT_FOLDER = {"type": "folder", "id": "0", "sequence_id": None, "etag": None, "name": "All Files"}
_INVITEE: dict[str, list[str]] = {
    "folder": ["editor", "viewer", "previewer", "uploader", "previewer uploader", "viewer uploader", "co-owner"],
    "file": ["editor", "viewer"],
}


# Members of all kinds


def _simple(name: str, value: Member, *kinds: str) -> None:
    member(*kinds, name=name)(value)


_simple("type", lambda _c, i: i.kind)
_simple("id", lambda _c, i: i.id)
_simple("etag", lambda _c, i: None if i.is_root else str(i.etag))
_simple("sequence_id", lambda _c, i: None if i.is_root else str(i.etag))
_simple("name", lambda _c, i: i.name)
_simple("description", lambda _c, i: i.description)
_simple("created_at", lambda c, i: None if i.is_root else stamp(c, i.created_at))
_simple("modified_at", lambda c, i: None if i.is_root else stamp(c, i.modified_at))
_simple("created_by", lambda c, i: NOBODY if i.is_root else user_mini(c, i.created_by))
_simple("modified_by", lambda c, i: user_mini(c, i.modified_by))
_simple("owned_by", lambda c, i: user_mini(c, i.owner))
_simple("trashed_at", lambda c, i: stamp(c, i.trashed_at))
_simple("shared_link", lambda _c, _i: None)  # the area of shared links puts its own here
_simple("tags", lambda _c, i: i.extra.get("tags") or ABSENT)
_simple("collections", lambda _c, _i: [])
_simple("is_externally_owned", lambda c, i: i.owner != c.user.id, "file", "folder")
_simple("has_collaborations", lambda _c, _i: False, "file", "folder")
_simple("watermark_info", lambda _c, _i: {"is_watermarked": False}, "file", "folder")
_simple("classification", lambda _c, _i: None, "file", "folder")
_simple("is_accessible_via_shared_link", lambda _c, i: not i.is_root and bool(i.extra.get("shared_link")), "file",
        "folder")  # fmt: skip
_simple("allowed_invitee_roles", lambda _c, i: [] if i.is_root else _INVITEE[i.kind], "file", "folder")
_simple("metadata", lambda _c, _i: None, "file", "folder")


@member()
def purged_at(ctx: Context, item: Item) -> str | None:
    return None if item.trashed_at is None else stamp(ctx, item.trashed_at + ctx.settings.trash_days * 86400)


@member()
def item_status(ctx: Context, item: Item) -> str:
    return "trashed" if item.trashed_at is not None or ctx.in_trash(item) else "active"


@member()
def parent(ctx: Context, item: Item) -> dict[str, Any] | None:
    if item.parent is None:
        return None
    folder = ctx.folder_row(item.parent)
    if folder is None:
        return {"type": "folder", "id": str(item.parent), "sequence_id": None, "etag": None, "name": ""}
    if item.owner != ctx.user.id and ctx.app.access.role(ctx, folder) is None:
        return ROOT_FOLDER  # what others share appears under one's own root
    return mini(folder)


@member()
def path_collection(ctx: Context, item: Item) -> dict[str, Any]:
    if item.trashed_at is not None:
        return {"total_count": 1, "entries": [TRASH_FOLDER]}
    entries: list[dict[str, Any]] = []
    number = item.parent
    while number is not None:
        folder = ctx.folder_row(number)
        if folder is None or (item.owner != ctx.user.id and ctx.app.access.role(ctx, folder) is None):
            entries.append(ROOT_FOLDER)
            break
        entries.append(mini(folder))
        number = folder.parent
    entries.reverse()
    return {"total_count": len(entries), "entries": entries}


@member("file", "folder")
def permissions(ctx: Context, item: Item) -> dict[str, bool]:
    rights = ctx.rights(item)
    return {right: right in rights for right in (FILE_RIGHTS if item.kind == "file" else FOLDER_RIGHTS)}


# Files


@member("file", name="lock")
def lock_of(ctx: Context, item: Item) -> dict[str, Any] | None:
    """The file's lock; None once its time is over."""
    lock = item.lock
    if lock and lock["expires_at"] and times.parse(lock["expires_at"], "lock.expires_at") <= ctx.now:
        return None
    return lock


_simple("size", lambda _c, i: i.size, "file", "folder")
_simple("content_created_at", lambda c, i: None if i.is_root else stamp(c, i.content_created_at), "file", "folder")
_simple("content_modified_at", lambda c, i: None if i.is_root else stamp(c, i.content_modified_at), "file", "folder")
_simple("sha1", lambda _c, i: i.sha1, "file")
_simple("file_version", lambda _c, i: {"type": "file_version", "id": str(i.version), "sha1": i.sha1}, "file")
_simple("version_number", lambda _c, i: str(i.version_number), "file")
_simple("extension", lambda _c, i: i.name.rpartition(".")[2] if "." in i.name else "", "file")
_simple("comment_count", lambda _c, _i: 0, "file")
_simple("is_package", lambda _c, _i: False, "file")
_simple("expires_at", lambda _c, _i: None, "file")
_simple("disposition_at", lambda _c, i: i.extra.get("disposition_at"), "file")
_simple("uploader_display_name", lambda c, i: user_mini(c, i.modified_by)["name"], "file")

# Folders

_simple("folder_upload_email", lambda _c, _i: None, "folder")
_simple("sync_state", lambda _c, i: i.extra.get("sync_state", "not_synced"), "folder")
_simple("can_non_owners_invite", lambda _c, i: i.extra.get("can_non_owners_invite", True), "folder")
_simple("can_non_owners_view_collaborators", lambda _c, i: i.extra.get("can_non_owners_view_collaborators", True),
        "folder")  # fmt: skip
_simple("is_collaboration_restricted_to_enterprise",
        lambda _c, i: i.extra.get("is_collaboration_restricted_to_enterprise", False), "folder")  # fmt: skip
_simple("is_associated_with_app_item", lambda _c, _i: False, "file", "folder")
_simple("allowed_shared_link_access_levels",
        lambda _c, i: [] if i.is_root else ["collaborators", "open", "company"], "folder")  # fmt: skip

# Web links

_simple("url", lambda _c, i: i.url, "web_link")
