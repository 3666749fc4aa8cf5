"""Values as people write them: "20G", "1.5s", "022".  Pure functions, ValueError with one clear line.

Sizes are bytes with binary multiples (K = 1024), as du and mount(8) have them; durations are seconds.
"""

from __future__ import annotations

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE, _FALSE = {"1", "yes", "true", "on"}, {"0", "no", "false", "off"}


def _split(text: str) -> tuple[float, str]:
    text = text.strip().lower().replace(" ", "")
    end = len(text)
    while end and text[end - 1].isalpha():
        end -= 1
    value = float(text[:end])
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value, text[end:]


def parse_size(text: str) -> int:
    """Return bytes of "512", "20G", "1.5 MiB", "64kb"."""
    try:
        value, unit = _split(text)
        return int(value * _SIZES[unit.removesuffix("b").removesuffix("i") if unit != "b" else ""])
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is not a size: write bytes, or a number with K, M, G or T") from None


def format_size(count: float) -> str:
    """Return "1.5 MiB"; bytes below a kibibyte are whole."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def parse_seconds(text: str) -> float:
    """Return seconds of "2", "0.5s", "200ms", "5m", "1h", "1d"."""
    try:
        value, unit = _split(text)
        return value * _SECONDS[unit]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is not a duration: write seconds, or a number with ms, s, m, h or d") from None


def format_seconds(seconds: float) -> str:
    """Return "350 ms", "12 s", "5 min", "3 h", "2 d": one unit, as a status line wants it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, limit in (("s", 120), ("min", 120), ("h", 48)):
        if seconds < limit:
            return f"{seconds:.0f} {unit}"
        seconds /= 60 if unit != "h" else 24
    return f"{seconds:.0f} d"


def parse_octal(text: str) -> int:
    """Return permission bits of "022", "0o755"."""
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o7777:
        raise ValueError(f"{text!r} is not an octal mask: write, for example, 022")
    return value


def parse_bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither yes nor no")
