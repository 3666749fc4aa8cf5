"""From a request to its handler and back: routes, authentication, bodies, replies.

An area is a module with `routes = Routes()` and functions under `@routes("GET", "/2.0/files/{file_id:int}")`.  A
handler gets (ctx, **path values) and gives None (204), a dict (200), (status, dict), or a Response.  `{x:int}`
matches decimal numbers: another word there is 405 (trap 29); `{x}` matches one segment; `{x:path}` the rest.
"""

from __future__ import annotations

import gzip
import inspect
import json
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from boxfs.emulator.context import Context, Disconnected
from boxfs.emulator.errors import Answer, ApiError, method_not_allowed

if TYPE_CHECKING:
    from boxfs.emulator.app import Emulator

log = logging.getLogger(__name__)
Handler = Callable[..., Any]
COMPRESS_FROM = 1400
VERSION = "2024.0"


@dataclass(frozen=True, slots=True)
class Route:
    """auth: wants an access token.  body: read before the handler is called ("json"), or by it ("stream")."""

    method: str
    pattern: str
    handler: Handler
    auth: bool = True
    body: Literal["json", "stream"] = "json"


class Routes(list[Route]):
    def __call__(
        self, method: str, pattern: str, *, auth: bool = True, body: Literal["json", "stream"] = "json"
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.append(Route(method, pattern, handler, auth, body))
            return handler

        return add


@dataclass
class _Node:
    words: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    rest: _Node | None = None
    routes: dict[str, tuple[Route, list[tuple[str, str]]]] = field(default_factory=dict)


class Router:
    """Routes as a tree of path segments; a literal word goes before a value."""

    def __init__(self, areas: Iterable[Routes]) -> None:
        self._top = _Node()
        for routes in areas:
            for route in routes:
                self._add(route)

    def _add(self, route: Route) -> None:
        node, values = self._top, []
        for segment in route.pattern.strip("/").split("/"):
            if not segment.startswith("{"):
                node = node.words.setdefault(segment, _Node())
                continue
            name, _, kind = segment[1:-1].partition(":")
            values.append((name, kind))
            if kind == "path":
                node.rest = node.rest or _Node()
                node = node.rest
            else:
                node.any = node.any or _Node()
                node = node.any
        node.routes[route.method] = (route, values)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        """Raises 404 for an unknown path, 405 for another method and for ids that are no numbers."""
        segments = path.strip("/").split("/")
        found = self._match(self._top, segments, 0, [])
        if found is None:
            raise ApiError(404, "not_found", "Not Found")
        node, texts = found
        if method not in node.routes:
            raise method_not_allowed()
        route, names = node.routes[method]
        values: dict[str, Any] = {}
        for (name, kind), text in zip(names, texts, strict=True):
            if kind != "int":
                values[name] = text
            elif text.isdecimal() and text.isascii() and len(text) < 19:
                values[name] = int(text)
            else:
                raise method_not_allowed()
        return route, values

    def _match(self, node: _Node, segments: list[str], at: int, texts: list[str]) -> tuple[_Node, list[str]] | None:
        if at == len(segments):
            return (node, texts) if node.routes else None
        word = node.words.get(segments[at])
        if word is not None:
            found = self._match(word, segments, at + 1, texts)
            if found is not None:
                return found
        if node.any is not None:
            found = self._match(node.any, segments, at + 1, [*texts, segments[at]])
            if found is not None:
                return found
        if node.rest is not None:
            return node.rest, [*texts, "/".join(segments[at:])]
        return None


class Dispatcher:
    """The ASGI application proper; middlewares (faults, log) go around it."""

    def __init__(self, emulator: Emulator, router: Router) -> None:
        self.emulator, self.router = emulator, router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        ctx = Context(self.emulator, scope, receive, send)
        try:
            response = await self.answer(ctx)
        except Disconnected:
            return
        await response(scope, receive, send)

    async def answer(self, ctx: Context) -> Response:
        store = self.emulator.store
        try:
            route, values = self.router.find(ctx.method, ctx.path)
            ctx.route = f"{route.method} {route.pattern}"
            ctx.scope["boxfs.route"] = ctx.route  # for the request log
            require_version(ctx)
            if route.auth:
                self.emulator.authenticate(ctx)
                ctx.scope["boxfs.user"] = ctx.user.id
            if route.body == "json":
                ctx.body = await ctx.read_body()
            result = route.handler(ctx, **values)
            if inspect.isawaitable(result):
                result = await result
            response = self.reply(ctx, result)
            if ctx.close_connection:
                response.headers["Connection"] = "close"
            store.commit()
            return response
        except Answer as answer:
            store.commit()
            return answer.response
        except ApiError as error:
            store.rollback()
            return self.reply_error(ctx, error)
        except Disconnected:
            store.rollback()
            raise
        except Exception:
            store.rollback()
            log.exception("%s %s failed", ctx.method, ctx.path)
            return self.reply_error(ctx, ApiError(500, "internal_server_error", "Internal Server Error"))

    def reply(self, ctx: Context, result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status_code=204, headers=standard_headers())
        status, body = result if isinstance(result, tuple) else (200, result)
        return self.json_response(ctx, status, body)

    def json_response(self, ctx: Context, status: int, body: Any) -> Response:
        content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers = standard_headers()
        if (
            len(content) > COMPRESS_FROM
            and self.emulator.settings.gzip
            and "gzip" in ctx.headers.get("accept-encoding", "")
        ):
            content = gzip.compress(content, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(content, status, headers, "application/json")

    def reply_error(self, ctx: Context, error: ApiError) -> Response:
        if not error.body:
            return Response(status_code=error.status, headers=standard_headers() | error.headers)
        response = self.json_response(ctx, error.status, error.as_json())
        response.headers.update(error.headers)
        return response


def require_version(ctx: Context) -> None:
    """Raises 400 invalid_api_version for a box-version header that is not the one version there is."""
    told = ctx.headers.getlist("box-version")
    if told and told != [VERSION]:
        raise ApiError(400, "invalid_api_version", f"Unsupported API version. Supported versions: {VERSION}")


def standard_headers() -> dict[str, str]:
    return {
        "Strict-Transport-Security": "max-age=31536000",
        "Cache-Control": "no-cache, no-store",
        "Vary": "Accept-Encoding",
        "BOX-REQUEST-ID": secrets.token_hex(14),
    }
