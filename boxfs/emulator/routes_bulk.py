"""POST /_emulator/bulk: many items at once, for tests and benchmarks."""

from __future__ import annotations

from typing import Any

from boxfs.emulator import bulk
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import bad_request
from boxfs.emulator.routes_admin import only_here

routes = Routes()


@routes("POST", "/_emulator/bulk", auth=False)
def post_bulk(ctx: Context) -> dict[str, Any]:
    """{"items": [[path, size or null], …]}, or {"folders", "files" each, "size", "under"}; "user": login."""
    only_here(ctx)
    body = ctx.json()
    login = body.get("user")
    user = ctx.store.user_by_login(login) if login else ctx.store.users()[0]
    if user is None:
        raise bad_request("user", f"no user has the login {login}")
    if "items" in body:
        entries = ((str(path), size) for path, size in body["items"])
        return {"made": bulk.load(ctx.store, user.id, entries)}
    spread = bulk.spread(
        int(body.get("folders", 1)), int(body.get("files", 0)), int(body.get("size", 0)), body.get("under", "/Bulk")
    )
    return {"made": bulk.load(ctx.store, user.id, spread)}
