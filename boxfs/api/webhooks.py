"""Is a message that came to a webhook's address really Box's?  Pure; the calls are `client.webhooks`.

Source: Box's guide "Signature verification": HMAC-SHA256 over the body and the time of delivery, by either of two keys
(so that they can be changed one after the other), refused when it is older than ten minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from boxfs.api import wire
from boxfs.api.http import Headers

MOST_AGE_S = 600.0


def is_genuine(body: bytes, headers: Mapping[str, str], keys: Sequence[str], *, now: datetime | None = None) -> bool:
    """Tell whether the message was signed with one of the keys and is not old.  keys: primary and secondary."""
    given = Headers(headers.items())
    sent = given.get("box-delivery-timestamp", "")
    when = wire.time(sent)
    now_s = now.timestamp() if now is not None else time.time()
    if when is None or abs(now_s - when.timestamp()) > MOST_AGE_S:
        return False
    if (given.get("box-signature-version"), given.get("box-signature-algorithm")) != ("1", "HmacSHA256"):
        return False
    signatures = [given.get(f"box-signature-{which}", "") for which in ("primary", "secondary")]
    for key in keys:
        made = base64.b64encode(hmac.new(key.encode(), body + sent.encode(), hashlib.sha256).digest())
        if any(hmac.compare_digest(made, each.encode()) for each in signatures):
            return True
    return False
