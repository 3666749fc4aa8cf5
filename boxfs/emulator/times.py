"""Times as Box writes and reads them: whole seconds, with the account's offset (box-api.md section 5.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from boxfs.emulator.errors import bad_request

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(Z|z|[+-]\d\d:?\d\d)?)?$"
)  # fmt: skip


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=65536)
def local(seconds: int, zone: str) -> str:
    """2026-03-01T08:15:30-08:00"""
    return datetime.fromtimestamp(seconds, _zone(zone)).isoformat()


def zulu(seconds: float) -> str:
    """2026-03-01T16:15:30Z, as upload sessions have it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: object, name: str) -> int:
    """Seconds since the epoch.  Fractions are dropped; raises 400 for other forms and for dates before 1970."""
    match = _FORM.match(text) if isinstance(text, str) else None
    if not match:
        raise bad_request(name, f"Invalid value '{text}'.")
    year, month, day, hour, minute, second, offset = match.groups()
    zone = "+00:00" if offset in (None, "Z", "z") else offset
    iso = f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone}"
    try:
        seconds = int(datetime.fromisoformat(iso).timestamp())
    except ValueError:
        raise bad_request(name, f"Invalid value '{text}'.") from None
    if seconds < 0:
        raise bad_request(name, f"Invalid value '{text}'.")
    return seconds
