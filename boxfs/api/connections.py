"""Connections: requests' pools, with hooks where a request takes a connection and where one is made."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from boxfs.api import trust
from boxfs.api.http import Timeouts

# One piece of a reply or of a body.  urllib3 hands a piece to one sendall(2), which must end within the time-out.
PIECE_BYTES = 128 * 1024
# A connection that idled longer is not trusted with a request that cannot be repeated: its server may be closing it.
IDLE_S = 20.0
UNUSED_S = 3.0  # a server may end a connection over which nothing comes sooner than others

# Whose server is out of reach without a word (another network, a machine that slept) is dropped by the kernel within
# twenty seconds, before the last connection that a read is tried over (core/source.py), also where it idles in a pool.
_SOCKET_OPTIONS = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]

_REQUIRED = (ssl.CERT_REQUIRED, "CERT_REQUIRED", "REQUIRED")


class Adapter(HTTPAdapter):
    """requests' adapter with connections that know which request they work for.

    local: `.now`, set by who sends: its Cancel, and whether the request can be repeated; `.pool`, set here: which pool
    served it.
    """

    def __init__(self, local: threading.local, timeouts: Timeouts, connections: int) -> None:
        self._local = local
        self._pool_classes = _pool_classes(local, timeouts)
        super().__init__(pool_connections=16, pool_maxsize=connections, max_retries=0)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        self._local.pool = conn

    def connect(self, host: str, verify: Any, connect_s: float) -> None:
        """Put a connection to the host into the pool that its requests will take theirs from.  No proxies."""
        prepared = requests.Request("GET", host).prepare()
        if hasattr(self, "get_connection_with_tls_context"):  # requests 2.32
            pool: Any = self.get_connection_with_tls_context(prepared, verify, proxies={}, cert=None)
        else:
            pool = self.get_connection(host, {})
        self.cert_verify(pool, host, verify, None)
        connection = pool._get_conn()
        if connection.sock is None:
            connection.timeout = connect_s
            connection.connect()
            connection.boxfs_unused_since = time.monotonic()
        pool._put_conn(connection)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=PIECE_BYTES, socket_options=_SOCKET_OPTIONS, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, socket_options=_SOCKET_OPTIONS, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _pool_classes(local: threading.local, timeouts: Timeouts) -> dict[str, type[HTTPConnectionPool]]:
    def before_request(connection: Any) -> None:
        cancel, repeatable = local.now
        cancel.attach(connection)
        idle_s = time.monotonic() - getattr(connection, "boxfs_used", time.monotonic())
        if not repeatable and idle_s > IDLE_S:
            connection.close()  # it opens itself again
        connection.boxfs_used = time.monotonic()
        connection.boxfs_unused_since = None

    def connected(connection: Any) -> None:
        local.now[0].check()
        # urllib3 would send under the connect time-out, too short for a slow line.
        connection.sock.settimeout(timeouts.read_s)

    hooks = {"before_request": before_request, "connected": connected}
    plain = type("Connection", (_Hooked, HTTPConnection), hooks)
    tls = type("Connection", (_Hooked, _Trusting, HTTPSConnection), hooks)
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


class _Hooked:
    """Mixed into urllib3's connections: the hooks of `_pool_classes` at the right moments."""

    before_request: Callable[[], None]
    connected: Callable[[], None]
    boxfs_unused_since: float | None = None
    sock: Any

    @property
    def is_connected(self) -> bool:
        """Whether urllib3 takes it for the next request.

        It takes a connection that has something to be read for closed; what a TLS 1.3 server sends of its own accord
        when a connection begins (session tickets) is no end.
        """
        if self.boxfs_unused_since is not None and time.monotonic() < self.boxfs_unused_since + UNUSED_S:
            return self.sock is not None
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.before_request()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.connected()


class _Trusting:
    """Mixed into urllib3's TLS connections: one context for all, where each would read the authorities by itself."""

    ca_certs: Any
    ca_cert_dir: Any

    def connect(self) -> None:
        named = self.ca_certs or self.ca_cert_dir
        to_proxy = getattr(self, "proxy", None) is not None  # which may speak TLS of its own
        own = getattr(self, "ssl_context", None) is not None or getattr(self, "cert_file", None)
        if named and not to_proxy and not own and self.cert_reqs in _REQUIRED:  # type: ignore[attr-defined]
            self.ssl_context = trust.context(str(named))
            self.ca_certs = self.ca_cert_dir = None
        super().connect()  # type: ignore[misc]
