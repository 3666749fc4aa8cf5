"""Large operations keep their trees busy: what else comes there is answered 409 for a while (box-api.md section 8).

Only where the knob large_operation_items says so.  The operation itself is done at once.
"""

from __future__ import annotations

import time

from boxfs.emulator.context import Context
from boxfs.emulator.errors import ApiError
from boxfs.emulator.store import Item


def keep(ctx: Context, item: Item, *folders: int | None) -> None:
    """A folder was moved, copied or deleted: if it is large, it and the folders named are busy from now on."""
    most = ctx.settings.large_operation_items
    if not most or item.kind != "folder" or len(ctx.store.subtree(item.number)) <= most:
        return
    until = time.monotonic() + ctx.settings.large_operation_s
    ctx.app.busy += [(until, folder) for folder in (item.number, *folders) if folder is not None and folder > 0]


def require_idle(ctx: Context, folder: int | None) -> None:
    """Raises 409 operation_blocked_temporary where the folder, or one above it, is busy."""
    if not ctx.app.busy:
        return
    now = time.monotonic()
    ctx.app.busy = [(until, busy) for until, busy in ctx.app.busy if until > now]
    blocked = {busy for _until, busy in ctx.app.busy}
    while folder is not None:
        if folder in blocked:
            message = "The operation is blocked by another on-going operation"
            raise ApiError(409, "operation_blocked_temporary", message)
        row = ctx.folder_row(folder)
        folder = row.parent if row is not None else None
