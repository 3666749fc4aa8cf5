"""Serve the emulator: sockets, TLS, signals, the line that says where it is."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from boxfs.emulator.app import Emulator


class _Server(uvicorn.Server):
    """uvicorn that sends long polls away when it is told to stop, and tells when it listens."""

    def __init__(self, config: uvicorn.Config, emulator: Emulator, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._emulator, self._ready = emulator, ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._emulator.events.close)
        super().handle_exit(sig, frame)


def serve(
    data: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: Mapping[str, Any] | None = None,
    tokens: Mapping[str, str] | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    data: folder that keeps everything.  port 0: a free one.  settings: knobs of the start.  faults: its fault plan.
    tokens: developer token -> login.  certificate, key: PEM files for TLS.  ready: called with the base URL once
    requests are answered.
    Raises OSError where the address is taken or the folder cannot be written, BadSetting.
    """
    sockets = listen(host, port)
    emulator = Emulator(data, settings, tokens)
    for fault in faults:
        emulator.plan.add(fault)
    scheme = "https" if certificate else "http"
    url = f"{scheme}://{host if ':' not in host else f'[{host}]'}:{sockets[0].getsockname()[1]}"
    config = uvicorn.Config(
        emulator,
        loop="auto",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        date_header=False,  # the wire says what time it is, by the clock of the knobs
        backlog=1024,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ssl_certfile=str(certificate) if certificate else None,
        ssl_keyfile=str(key) if key else None,
    )
    try:
        _Server(config, emulator, lambda: ready(url)).run(sockets=sockets)
    finally:
        emulator.close()
        for each in sockets:
            each.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets.  For 127.0.0.1 also ::1 at the same port, where there is IPv6: "localhost" may mean either."""
    for _attempt in range(50):
        first = _bind(host, port)
        if host != "127.0.0.1":
            return [first]
        try:
            return [first, _bind("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port:
                return [first]
            first.close()  # somebody else has ::1 at that port: take another
    raise OSError(errno.EADDRINUSE, "no port is free on both 127.0.0.1 and ::1")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(1024)
    except BaseException:
        made.close()
        raise
    made.set_inheritable(True)
    return made
