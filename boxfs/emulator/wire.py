"""The awkward network: an ASGI middleware around the whole server.

It waits (latency), throttles (bandwidth), refuses (rate limits), breaks (fault plan) and writes the request log.  It
knows nothing of Box but which paths count as calls.  Requests of the admin endpoint and the web page pass untouched.

An entry is in the log before the client can have read the end of the reply, so that whoever got an answer finds it.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import struct
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any

from boxfs.emulator.faults import Fault, FaultPlan, error_body
from boxfs.emulator.requestlog import Entry, RequestLog, path_template
from boxfs.emulator.settings import Settings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

QUIET = ("/_emulator", "/favicon.ico")  # and the web page itself
_CALL = re.compile(r"^(?:/api)?/2\.0/")
_UPLOAD = re.compile(r"/files(?:/\d+)?/content$|/upload_sessions/[^/]+/commit$")
_MINUTE = 60.0
_SECRET = re.compile(r"\b(access_token|code)=[^&]*")


class Wire:
    """identify: the user id behind a request's token, None where there is none; must be quick."""

    def __init__(
        self, app: App, settings: Settings, plan: FaultPlan, log: RequestLog, identify: Callable[[Scope], str | None]
    ) -> None:
        self.app = app
        self.settings = settings
        self.plan = plan
        self.log = log
        self.identify = identify
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}  # (user, kind) -> window's start, calls in it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/" or scope["path"].startswith(QUIET):
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        try:
            await exchange.run()
        finally:
            exchange.finish()
        if exchange.broken:
            await exchange.gone()

    def forget_rates(self) -> None:
        """Every user's minute begins anew."""
        self._windows.clear()

    def rate_limited(self, method: str, path: str, user: str | None) -> int | None:
        """Seconds of Retry-After if this call is one too many, else None.  Counts the call."""
        settings = self.settings
        if not user or not _CALL.match(path):
            return None
        limits = [("call", settings.calls_per_minute)]
        if method == "POST" and _UPLOAD.search(path):
            limits.append(("upload", settings.uploads_per_minute))
        if path.endswith("/search"):
            limits.append(("search", settings.searches_per_minute))
        now = time.monotonic() + settings.clock_offset_s
        refused: int | None = None
        for kind, limit in limits:
            if not limit:
                continue
            start, calls = self._windows.get((user, kind), (now, 0))
            if not 0 <= now - start < _MINUTE:
                start, calls = now, 0
            self._windows[(user, kind)] = (start, calls + 1)
            if calls >= limit:
                refused = settings.rate_retry_after_s or max(1, math.ceil(start + _MINUTE - now))
        return refused


class _Exchange:
    """One request and its reply on the wire."""

    def __init__(self, wire: Wire, scope: Scope, receive: Receive, send: Send) -> None:
        self.wire = wire
        self.scope = scope
        self._receive = receive
        self._send = send
        self.user = wire.identify(scope)
        self.began = time.monotonic()
        self.at = time.time()
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.fault: Fault | None = None
        self.logged = False
        self.ended = False  # the reply is out, or never will be: what the application still sends is dropped
        self.broken = False  # the connection was ended before the reply was
        self.declared: int | None = None  # Content-Length of the reply
        self.received_all = False

    # The course of one request

    async def run(self) -> None:
        scope, wire = self.scope, self.wire
        method, path = scope["method"], scope["path"]
        query = scope.get("query_string", b"").decode("latin-1")
        if wire.settings.latency_s:
            await self.pause(wire.settings.latency_s)
        refused = wire.rate_limited(method, path, self.user)
        if refused is not None:
            await self.drain()
            headers = [("content-type", "application/json"), ("retry-after", str(refused))]
            await self.answer(429, headers, error_body(429))
            return
        self.fault = wire.plan.take(method, path, query, self.body_size(), self.user)
        if self.fault is None:
            await wire.app(scope, self.receive, self.send)
        else:
            await self.go_wrong(self.fault)

    async def go_wrong(self, fault: Fault) -> None:
        if fault.do == "status":
            await (self.carry_out() if fault.done else self.drain())
            status, headers, body = fault.reply(f"{fault.id}n{fault.fired}")
            await self.answer(status, headers, body)
        elif fault.at == "before" and fault.do == "reset":
            self.reset()
        elif fault.at == "before" and fault.do == "stall":
            if await self.pause(fault.seconds):
                await self.wire.app(self.scope, self.receive, self.send)
        elif fault.at == "in_body":
            await self.read_up_to(fault.after if fault.after is not None else (self.body_size() or 0) // 2)
            self.reset()
        elif fault.at == "after_body":
            await self.drain()
            self.reset()
        elif fault.at == "after_done":
            messages = await self.carry_out()
            if fault.do == "reset":
                self.reset()
            elif await self.pause(fault.seconds):
                for message in messages:
                    await self.send(message)
        else:  # in the reply's body
            await self.wire.app(self.scope, self.receive, self.send_broken)

    async def carry_out(self) -> list[Message]:
        """The request is done; its reply is held back."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.wire.app(self.scope, self.receive, keep)
        return messages

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        raw = [(k.encode(), v.encode()) for k, v in headers]
        if status not in (204, 304) and not any(k == b"content-length" for k, _ in raw):
            raw.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body if status not in (204, 304) else b""})

    # The request's side

    def header(self, name: bytes) -> str | None:
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return None

    def body_size(self) -> int | None:
        length = self.header(b"content-length")
        return int(length) if length and length.isdigit() else None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self.bytes_in += size
            self.received_all = not message.get("more_body", False)
            if size and self.wire.settings.bandwidth:
                await self.pause(size / self.wire.settings.bandwidth)
        return message

    async def read_up_to(self, size: int) -> None:
        while self.bytes_in < size and not self.received_all:
            if (await self.receive())["type"] != "http.request":
                return

    async def drain(self) -> None:
        while not self.received_all:
            if (await self.receive())["type"] != "http.request":
                return

    # The reply's side

    async def send(self, message: Message) -> None:
        if self.ended:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            now = formatdate(time.time() + self.wire.settings.clock_offset_s, usegmt=True)
            message = {**message, "headers": [*message["headers"], (b"date", now.encode())]}
            self.declared = next((int(v) for k, v in message["headers"] if k.lower() == b"content-length"), None)
            await self._send(message)
            return
        body = message.get("body", b"")
        last = not message.get("more_body", False)
        bandwidth = self.wire.settings.bandwidth
        if bandwidth and body:
            slice_size = max(512, bandwidth // 20)
            for start in range(0, len(body), slice_size):
                unbound = not self.wire.settings.bandwidth  # by now
                piece = body[start:] if unbound else body[start : start + slice_size]
                if not unbound and not await self.pause(len(piece) / bandwidth):
                    return
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                if unbound:
                    break
            self.bytes_out += len(body)
            body = b""
        self.bytes_out += len(body)
        if last:
            self.finish()
            self.ended = True
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def send_broken(self, message: Message) -> None:
        """Send, with the deed of a truncate, corrupt, or of a reset or stall in the response."""
        fault = self.fault
        assert fault is not None
        if message["type"] == "http.response.start" or self.ended:
            await self.send(message)
            return
        body = bytes(message.get("body", b""))
        more = message.get("more_body", False)
        total = self.declared if self.declared is not None else len(body)
        where = fault.after if fault.after is not None else total // 2
        here = where - self.bytes_out
        if not 0 <= here < max(len(body), 1 if not more else 0) or (fault.do == "corrupt" and not body):
            await self.send(message)
            return
        if fault.do == "corrupt":
            spoiled = body[:here] + bytes([body[here] ^ 0x55]) + body[here + 1 :]
            await self.send({**message, "body": spoiled})
            return
        if here:
            await self.send({"type": "http.response.body", "body": body[:here], "more_body": True})
        if fault.do == "reset":
            self.reset()
        elif fault.do == "truncate":
            self.finish()
            self.ended = self.broken = True
            self.transport.close()
        elif await self.pause(fault.seconds):
            await self.send({"type": "http.response.body", "body": body[here:], "more_body": more})

    # The connection

    @property
    def transport(self) -> asyncio.Transport:
        """The connection under uvicorn's request cycle: ASGI itself has no word for a reset."""
        transport = self._send.__self__.transport  # type: ignore[attr-defined]
        assert transport is not None
        return transport  # type: ignore[no-any-return]

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        self.status = 0
        self.finish()
        self.ended = self.broken = True
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def gone(self) -> None:
        """Wait until uvicorn knows that the connection is gone: it complains of a reply that never ended."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def pause(self, seconds: float | None) -> bool:
        """Wait; None: until the client goes away.  False when it did go, and nothing more is to be said."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.05))
            if self.transport.is_closing():
                self.ended = self.broken = True
                return False
        return True

    def finish(self) -> None:
        """Write the log entry, once."""
        if self.logged:
            return
        self.logged = True
        scope = self.scope
        client = scope.get("client") or ("", 0)
        self.wire.log.add(
            Entry(
                number=0,
                time=self.at,
                method=scope["method"],
                path=scope["path"],
                query=_SECRET.sub(r"\1=", scope.get("query_string", b"").decode("latin-1")),
                template=path_template(scope["path"]),
                status=self.status,
                bytes_in=self.bytes_in,
                bytes_out=self.bytes_out,
                user=self.user,
                seconds=time.monotonic() - self.began,
                fault=self.fault.id if self.fault else None,
                range=self.header(b"range") or self.header(b"content-range"),
                connection=f"{client[0]}:{client[1]}",
                agent=self.header(b"user-agent"),
            )
        )
