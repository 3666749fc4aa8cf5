"""Rights beyond ownership: collaborations, groups, shared links, and what a narrowed token leaves of them.

A collaboration on a folder holds for all below it.  A request that shows a shared link (header BoxApi) sees the shared
item and all below as a viewer.  A narrowed token (token exchange) takes away: items outside of its resource are not
there at all, and its scopes leave few rights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxfs.emulator import errors
from boxfs.emulator.access import ROLES, Access
from boxfs.emulator.errors import ApiError
from boxfs.emulator.store import Item, Store

if TYPE_CHECKING:
    from boxfs.emulator.context import Context

SCHEMA = """
CREATE TABLE IF NOT EXISTS collaborations (
    id INTEGER PRIMARY KEY, pk INTEGER NOT NULL,
    user INTEGER, team INTEGER,           -- who is let in: one of the two; both NULL where only an address is known
    invite_email TEXT,
    role TEXT NOT NULL, status TEXT NOT NULL,
    created_by INTEGER NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL,
    acknowledged_at INTEGER, expires_at INTEGER,
    can_view_path INTEGER NOT NULL DEFAULT 0, is_access_only INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS collaborations_item ON collaborations (pk);
CREATE TABLE IF NOT EXISTS teams (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL, extra TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS memberships (
    id INTEGER PRIMARY KEY, team INTEGER NOT NULL, user INTEGER NOT NULL, role TEXT NOT NULL,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, UNIQUE (team, user)
);
"""

ORDER = ("uploader", "previewer", "viewer", "previewer uploader", "viewer uploader", "editor", "co-owner", "owner")
"""Roles from the least to the most."""

_LOOK = frozenset({"can_preview"})
_READ = _LOOK | {"can_download"}
SCOPE_RIGHTS: dict[str, frozenset[str]] = {
    "root_readwrite": frozenset().union(*ROLES.values()),
    "root_readonly": _READ,
    "base_explorer": _LOOK,
    "base_picker": _LOOK,
    "base_preview": _LOOK,
    "base_sidebar": _LOOK | {"can_comment"},
    "base_upload": frozenset({"can_upload"}),
    "item_download": _READ,
    "item_preview": _LOOK,
    "item_rename": frozenset({"can_rename"}),
    "item_delete": frozenset({"can_delete"}),
    "item_share": frozenset({"can_share", "can_set_share_access"}),
    "item_upload": frozenset({"can_upload"}),
    "annotation_edit": frozenset({"can_annotate"}),
    "annotation_view_all": frozenset({"can_view_annotations_all"}),
    "annotation_view_self": frozenset({"can_view_annotations_self"}),
}


@dataclass(frozen=True, slots=True)
class Share:
    """An accepted collaboration that counts.  users: whom it lets in, the members of a group one by one."""

    pk: int
    role: str
    users: frozenset[int]


class SharedAccess(Access):
    """Ownership, collaborations, shared links, narrowed tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shares: dict[int, list[Share]] | None = None  # by pk; None: read them again
        self._unsettled = False  # a transaction that changed them is open: read, and remember nothing

    # Collaborations

    def changed(self) -> None:
        """Collaborations or memberships were changed in the running transaction."""
        self._shares, self._unsettled = None, True
        self._store.after_commit(self._settled)

    def _settled(self) -> None:
        self._shares, self._unsettled = None, False

    def shares(self) -> dict[int, list[Share]]:
        if self._shares is not None:
            return self._shares
        members: dict[int, set[int]] = {}
        for team, user in self._store.db.execute("SELECT team, user FROM memberships"):
            members.setdefault(team, set()).add(user)
        found: dict[int, list[Share]] = {}
        for pk, user, team, role in self._store.db.execute(
            "SELECT pk, user, team, role FROM collaborations WHERE status='accepted'"
        ):
            users = frozenset({user}) if user is not None else frozenset(members.get(team, ()))
            found.setdefault(pk, []).append(Share(pk, role, users))
        if not self._unsettled:
            self._shares = found
        return found

    def _upwards(self, item: Item) -> Iterator[int]:
        """pks of the item and of all folders above it."""
        yield item.pk
        parent = item.parent
        while parent is not None:
            yield parent * 4
            row = self._store.db.execute("SELECT parent FROM items WHERE pk=?", (parent * 4,)).fetchone()
            parent = row[0] if row else None

    def roles_of(self, user: int, item: Item) -> set[str]:
        """All roles that the user has on the item, by ownership and collaborations."""
        if item.owner == user:
            return {"owner"}
        shares = self.shares()
        if not shares:
            return set()
        return {share.role for pk in self._upwards(item) for share in shares.get(pk, ()) if user in share.users}

    # What Access promises

    def role(self, ctx: Context, item: Item) -> str | None:
        resource = ctx.token.extra.get("resource")
        if resource and not self._inside(item, resource):
            return None
        roles = self.roles_of(ctx.user.id, item)
        link_role = self._by_link(ctx, item)
        if link_role:
            roles = roles | {link_role}
        return max(roles, key=ORDER.index) if roles else None

    def full_rights(self, ctx: Context, item: Item) -> frozenset[str]:
        """Rights of the user on the item, whatever the token is narrowed to."""
        roles = self.roles_of(ctx.user.id, item)
        link_role = self._by_link(ctx, item)
        rights: frozenset[str] = frozenset().union(*(ROLES[role] for role in roles))
        return rights | ROLES[link_role] if link_role else rights

    def rights(self, ctx: Context, item: Item) -> frozenset[str]:
        if self.role(ctx, item) is None:
            return frozenset()
        rights = self.full_rights(ctx, item)
        scopes = ctx.token.extra.get("scopes")
        if scopes is None:
            return rights
        return rights & frozenset().union(*(SCOPE_RIGHTS.get(scope, frozenset()) for scope in scopes))

    def refusal(self, ctx: Context, item: Item, right: str) -> ApiError:
        """Not the user's right: access denied.  Not the token's: insufficient scope (trap 24)."""
        return errors.insufficient_scope() if right in self.full_rights(ctx, item) else errors.denied()

    def shared_roots(self, user: int) -> list[int]:
        roots = []
        for pk, shares in self.shares().items():
            if not any(user in share.users for share in shares):
                continue
            item = self._store.by_pk(pk)
            if item is None or item.owner == user or item.trashed_at is not None:
                continue
            parent = self._store.by_pk(item.parent * 4) if item.parent is not None else None
            if parent is None or not self.roles_of(user, parent):
                roots.append(pk)
        return roots

    def watchers(self, item: Item) -> set[int]:
        watching = {item.owner}
        shares = self.shares()
        if shares:
            for pk in self._upwards(item):
                for share in shares.get(pk, ()):
                    watching |= share.users
        return watching

    # Narrowing and widening

    def _inside(self, item: Item, resource: list[str]) -> bool:
        kind, number = resource
        if kind == "folder" and number == "0":
            return True
        pk = int(number) * 4 + ("folder", "file", "web_link").index(kind)
        return any(pk == each for each in self._upwards(item))

    def _by_link(self, ctx: Context, item: Item) -> str | None:
        """The role that the request's shared link gives on the item."""
        shown = ctx.headers.get("boxapi")
        if not shown:
            return None
        for pk in self._upwards(item):
            row = self._store.db.execute("SELECT extra FROM items WHERE pk=?", (pk,)).fetchone()
            link = json.loads(row[0]).get("shared_link") if row else None
            if link and opens(shown, link, ctx.store.now()):
                return "viewer" if link.get("permissions", {}).get("can_download", True) else "previewer"
        return None


def shown_link(header: str) -> dict[str, str]:
    """`shared_link=URL&shared_link_password=PW` as a dict; the URL itself may hold `&`-less queries only."""
    return {name: value for name, _, value in (word.partition("=") for word in header.split("&"))}


def opens(header: str, link: dict[str, object], now: float) -> bool:
    """Whether a BoxApi header opens the link: its URL, its password, not past its day, not for collaborators only."""
    shown = shown_link(header)
    if shown.get("shared_link") not in (link.get("url"), link.get("vanity_url") or link.get("url")):
        return False
    ends = link.get("unshared_at")
    if isinstance(ends, int | float) and ends <= now:
        return False
    if link.get("access") == "collaborators":
        return False
    return not link.get("password") or shown.get("shared_link_password") == link.get("password")
