"""Which areas the emulator has, and what goes around it.  A new area is one line here."""

from __future__ import annotations

from boxfs.emulator import (
    routes_admin,
    routes_downloads,
    routes_events,
    routes_files,
    routes_folder_locks,
    routes_folders,
    routes_sessions,
    routes_trash,
    routes_uploads,
    routes_users,
    routes_versions,
)
from boxfs.emulator.app import Emulator, Middleware

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
    routes_admin,
)

MIDDLEWARE: tuple[Middleware, ...] = ()
"""Innermost first."""


def prepare(emulator: Emulator) -> None:
    """Let areas put their tables, their Access and their hooks in place."""
