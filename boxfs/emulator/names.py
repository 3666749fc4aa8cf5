"""Which names Box takes and when two are the same (box-api.md section 7)."""

from __future__ import annotations

import unicodedata

from boxfs.emulator.errors import ApiError, bad_request

MAX_CHARACTERS = 255  # code points; the unit is unconfirmed


def fold(name: str) -> str:
    """The form under which names of one folder must differ."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", name).casefold()


def check(name: object, *, refuse_astral: bool = False) -> str:
    """Return the name.  Raises 400 item_name_invalid or item_name_too_long."""
    if not isinstance(name, str) or not name or name in (".", "..") or name.endswith(" "):
        raise invalid()
    if "/" in name or "\\" in name or any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in name):
        raise invalid()
    if refuse_astral and any(ord(c) > 0xFFFF for c in name):
        raise invalid()
    if len(name) > MAX_CHARACTERS:
        raise ApiError(400, "item_name_too_long", "Item name too long")
    return name


def description(text: object) -> str:
    """A description, cut at 255 characters: no reply may hold more.  Raises 400."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise bad_request("description", "Invalid value")
    return text[:255]


def invalid() -> ApiError:
    return ApiError(400, "item_name_invalid", "Item name invalid")
