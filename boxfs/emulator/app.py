"""The emulator as one object: state, knobs, areas, and the ASGI application around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from boxfs.emulator.access import Access
from boxfs.emulator.auth import application, grants, tokens
from boxfs.emulator.auth.application import Application
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Dispatcher, Router
from boxfs.emulator.events import Events
from boxfs.emulator.faults import FaultPlan
from boxfs.emulator.listing import Listings
from boxfs.emulator.requestlog import RequestLog
from boxfs.emulator.settings import Settings
from boxfs.emulator.store import Item, Store

DEFAULT_TOKENS = {"dev-token": "ada@example.com", "bob-token": "bob@example.com"}
"""Developer tokens of a new account, where the command line names none."""


class Emulator:
    """
    start: knobs given at the start, which a reset comes back to.  tokens: developer token -> login.
    on_reset: called by `reset`, for areas that keep state of their own.  on_purge: called for each purged item.
    """

    def __init__(
        self, data: Path, start: Mapping[str, Any] | None = None, tokens: Mapping[str, str] | None = None
    ) -> None:
        self.store = Store(data)
        self.start = dict(start or {})
        self.tokens = dict(tokens or DEFAULT_TOKENS)
        self.settings = Settings()
        self.settings.update(self.start)
        for schema in (application.SCHEMA, grants.SCHEMA):
            self.store.add_schema(schema)
        self.store.ahead_s = lambda: self.settings.clock_offset_s
        self.access = Access()
        self.events = Events(self)
        self.listings = Listings(self)
        self.application: Application | None = None
        self.archives: dict[str, Any] = {}
        """Zip downloads under way, by the key in their URLs."""
        self.plan = FaultPlan()
        self.log = RequestLog()
        self.on_reset: list[Callable[[], None]] = []
        self.on_purge: list[Callable[[Item], None]] = []
        self.busy: list[tuple[float, int]] = []
        """Folders that a large operation keeps busy, and until when (`busy.py`)."""
        self.patience: dict[str, int] = {}
        """How often something was answered "not yet": 202s and the like, by what it was about."""
        self._furnish()
        self.asgi: ASGIApp = self._build()

    def _build(self) -> ASGIApp:
        from boxfs.emulator import areas  # here: the areas import this module's neighbours

        areas.prepare(self)
        self.dispatcher = Dispatcher(self, Router(area.routes for area in areas.AREAS))
        app: ASGIApp = self.dispatcher
        for middleware in areas.MIDDLEWARE:
            app = middleware(app, self)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await self.asgi(scope, receive, send)

    def _furnish(self) -> None:
        """Make the users and developer tokens that the start names."""
        for token, login in self.tokens.items():
            role = "user" if self.store.users() else "admin"
            user = self.store.user_by_login(login) or self.store.add_user(login, role=role)
            tokens.put(self.store, token, user.id)
        self.application = application.bootstrap(self.store, self.application)
        self.store.commit()

    def authenticate(self, ctx: Context) -> None:
        """Set ctx.token and ctx.user.  Raises 401."""
        ctx.token = tokens.authenticate(ctx)
        ctx.user = tokens.acting_user(ctx)

    def not_yet(self, what: str, times: int) -> bool:
        """Count calls by `what`: True for the first `times` of them."""
        seen = self.patience.get(what, 0)
        if seen >= times:
            return False
        self.patience[what] = seen + 1
        return True

    def reset(self) -> None:
        """A fresh account with the knobs of the start: for the next test."""
        self.store.clear()
        self.settings.reset(self.start)
        self.patience.clear()
        self.busy.clear()
        self.archives.clear()
        self.plan.clear()
        self.log.clear()
        self.events.reset()
        self.listings.reset()
        for hook in self.on_reset:
            hook()
        self._furnish()

    def close(self) -> None:
        self.store.close()


Middleware = Callable[[ASGIApp, Emulator], ASGIApp]
Areas = Sequence[Any]
