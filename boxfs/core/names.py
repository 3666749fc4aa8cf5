"""Names: what the mount shows, what Box holds, and which of them Box takes for the same.

Box refuses control characters, backslash, a trailing space and what is no UTF-8 (box-api.md section 7).  Such names are
written there as rclone writes them (rclone.org/overview, "Restricted filenames"), so that both clients see the same:

    control character   its picture, U+2400 + code          DEL  U+2421        trailing space  U+2420
    backslash           U+FF3C                              a byte that is no UTF-8  U+201B and two hex digits
    one of these signs itself                               U+201B in front

A slash cannot be in a Linux name: what stands for one at Box (U+FF0F) is shown as it is.  `to_box` and then `to_local`
gives the name again, for every name that Linux allows.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from boxfs.base.errors import InvalidName, NameTooLong

MAX_BOX_NAME = 255  # code points (box-api.md section 7)
MAX_LOCAL_BYTES = 255  # NAME_MAX, as statfs says; longer ones that Box has are shown, but not made here

QUOTE = "‛"
_PICTURES = 0x2400
_SPACE = "␠"
_MARK = "‛~"  # + number + end: the name differs by case only from another (case=encode)

_TO_BOX = {code: chr(_PICTURES + code) for code in range(1, 0x20)} | {0x7F: "␡", ord("\\"): "＼"}
_FROM_BOX = {sign: chr(code) for code, sign in _TO_BOX.items()}
for _sign in (*_FROM_BOX, QUOTE):
    _TO_BOX[ord(_sign)] = QUOTE + _sign
for _byte in range(0x80, 0x100):
    _TO_BOX[0xDC00 + _byte] = f"{QUOTE}{_byte:02X}"

_SIGNS = "".join(_FROM_BOX)
_NEEDS_ENCODING = re.compile(f"[\x01-\x1f\x7f\\\\{_SIGNS}{QUOTE}\udc80-\udcff]|[ {_SPACE}]$")
_ENCODED = re.compile(f"{QUOTE}(?:([89A-F][0-9A-F])|([{_SIGNS}{QUOTE}])|({_SPACE})$)|([{_SIGNS}])|({_SPACE})$")
_NEEDS_DECODING = re.compile(f"[{_SIGNS}{QUOTE}]|{_SPACE}$")
# A sign of its own comes in pairs, so a mark is behind an even number of them.
_MARKED = re.compile(f"(?<!{QUOTE})((?:{QUOTE}{QUOTE})*){_MARK}([0-9]+)(?=$|\\.[^.]*$)")


def to_box(name: str, mark: int = 0) -> str:
    """Return the name that Box is to hold.  mark: 0, or the number that tells it from one that differs by case."""
    encoded = name
    if not name.isascii() or _NEEDS_ENCODING.search(name):
        last = name[-1:]
        if last in (" ", _SPACE):
            encoded = name[:-1].translate(_TO_BOX) + (_SPACE if last == " " else QUOTE + _SPACE)
        else:
            encoded = name.translate(_TO_BOX)
    if mark:
        stem, dot, end = encoded.rpartition(".")
        encoded = f"{stem}{_MARK}{mark}.{end}" if dot and stem else f"{encoded}{_MARK}{mark}"
    return encoded


def to_local(name: str) -> str:
    """Return what the mount shows for a name that Box holds."""
    if "/" in name or "\0" in name:  # Box refuses these; one that does not must not break the whole listing
        name = name.replace("/", "／").replace("\0", "␀")
    if name.isascii() or not _NEEDS_DECODING.search(name):
        return name
    decoded = _ENCODED.sub(_decoded, _MARKED.sub(r"\1", name))
    if any("\udc80" <= char <= "\udcff" for char in decoded):  # bytes that together are UTF-8 after all
        decoded = decoded.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return decoded if decoded not in ("", ".", "..") else name


def mark_of(name: str) -> int:
    """Return the number of the mark that a name at Box carries, else 0."""
    found = _MARKED.search(name) if QUOTE in name else None
    return int(found[2]) if found else 0


def _decoded(match: re.Match[str]) -> str:
    byte, quoted, quoted_space, sign, _space = match.groups()
    if byte:
        return chr(0xDC00 + int(byte, 16))
    if quoted or quoted_space:
        return str(quoted or quoted_space)
    return _FROM_BOX[sign] if sign else " "


def fold(name: str) -> str:
    """Return the form in which Box compares names (box-api.md section 7)."""
    return name.lower() if name.isascii() else _fold(name)


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def check(name: str) -> None:
    """Raise NameTooLong or InvalidName for a name that cannot be made."""
    if len(name) > 63 and len(name.encode("utf-8", "surrogateescape")) > MAX_LOCAL_BYTES:
        raise NameTooLong(f"the name is longer than {MAX_LOCAL_BYTES} bytes")
    if len(name) > MAX_BOX_NAME or (len(name) > 80 and len(to_box(name)) > MAX_BOX_NAME):
        raise NameTooLong(f"the name is longer than Box allows ({MAX_BOX_NAME} characters)")
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise InvalidName(f"not a name: {name!r}")
