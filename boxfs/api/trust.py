"""Trust: one TLS context for all connections that trust the same authorities.

To read the usual bundle of authorities takes 15 ms, more than all else that a new connection costs.
"""

from __future__ import annotations

import os
import ssl
import threading

_lock = threading.Lock()
_contexts: dict[tuple[str, int], ssl.SSLContext] = {}  # guarded by _lock; by path and time of change


def context(authorities: str) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names by the authorities of that file or folder.

    Raises OSError where they cannot be read.
    """
    name = (authorities, os.stat(authorities).st_mtime_ns)
    with _lock:
        known = _contexts.get(name)
    if known is not None:
        return known
    folder = os.path.isdir(authorities)
    made = ssl.create_default_context(cafile=None if folder else authorities, capath=authorities if folder else None)
    made.set_alpn_protocols(["http/1.1"])
    # urllib3 sets them again for every connection, while other threads may be connecting by this context.
    made.set_alpn_protocols = _set_already  # type: ignore[method-assign,assignment]
    with _lock:
        return _contexts.setdefault(name, made)


def _set_already(_protocols: object) -> None: ...
