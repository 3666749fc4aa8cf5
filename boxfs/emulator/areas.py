"""Which areas the emulator has, and what goes around it.  A new area is one line here."""

from __future__ import annotations

from starlette.types import ASGIApp, Scope

from boxfs.emulator import (
    routes_admin,
    routes_bulk,
    routes_collaborations,
    routes_comments,
    routes_downloads,
    routes_events,
    routes_files,
    routes_folder_locks,
    routes_folders,
    routes_groups,
    routes_metadata,
    routes_oauth,
    routes_pictures,
    routes_search,
    routes_sessions,
    routes_shared,
    routes_trash,
    routes_uploads,
    routes_users,
    routes_versions,
    routes_web_links,
    routes_zip,
    sharing,
)
from boxfs.emulator.app import Emulator, Middleware
from boxfs.emulator.auth import tokens
from boxfs.emulator.store import Item
from boxfs.emulator.wire import Wire

AREAS = (
    routes_users,
    routes_folders,
    routes_folder_locks,
    routes_files,
    routes_uploads,
    routes_sessions,
    routes_downloads,
    routes_versions,
    routes_trash,
    routes_events,
    routes_oauth,
    routes_shared,
    routes_collaborations,
    routes_groups,
    routes_comments,
    routes_web_links,
    routes_metadata,
    routes_search,
    routes_pictures,
    routes_zip,
    routes_admin,
    routes_bulk,
)


def around(app: ASGIApp, emulator: Emulator) -> ASGIApp:
    """The awkward network, around everything."""

    def identify(scope: Scope) -> str | None:
        """Login of the user whose token the request shows."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                token = tokens.look_up(emulator.store, value.decode("latin-1").partition(" ")[2].strip())
                try:
                    return emulator.store.user(token.user).login if token else None
                except KeyError:  # deleted since
                    return None
        return None

    wire = Wire(app, emulator.settings, emulator.plan, emulator.log, identify)
    emulator.on_reset.append(wire.forget_rates)
    return wire


MIDDLEWARE: tuple[Middleware, ...] = (around,)
"""Innermost first."""


def prepare(emulator: Emulator) -> None:
    """Put the tables, the Access and the hooks of the areas in place."""
    for area in (sharing, routes_comments, routes_metadata, routes_search):
        emulator.store.add_schema(area.SCHEMA)
    access = sharing.SharedAccess(emulator.store)
    emulator.access = access
    emulator.on_reset.append(access.changed)
    emulator.on_purge.append(lambda item: _forget(emulator, access, item))


def _forget(emulator: Emulator, access: sharing.SharedAccess, item: Item) -> None:
    """What hung on a purged item goes with it."""
    for table in ("collaborations", "metadata", "favorites"):
        emulator.store.db.execute(f"DELETE FROM {table} WHERE pk=?", (item.pk,))
    if item.kind == "file":
        emulator.store.db.execute("DELETE FROM comments WHERE file=?", (item.number,))
    access.changed()
