"""Every knob of the emulator, once: name, default, unit, meaning.  Command line, file and admin derive from this.

A knob is a plain number, switch or word.  Off is 0 (or false), so that every knob has one type.
Where box-api.md section 23 leaves two answers open, the default is the sheet's suggestion and the knob is the other.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

MIB = 1 << 20


def _knob(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class Knobs:
    """Changed while the server runs; every reader looks at the attribute at the moment of use."""

    # The wire
    latency_s: float = _knob(0.0, "seconds that every request waits before it is looked at")
    bandwidth: int = _knob(0, "bytes per second of one connection, each way; 0: no limit")
    calls_per_minute: int = _knob(0, "API calls a user may make in a minute (Box: 1000), then 429; 0: no limit")
    uploads_per_minute: int = _knob(0, "uploads a user may make in a minute (Box: 240), then 429; 0: no limit")
    searches_per_minute: int = _knob(0, "searches a user may make in a minute (Box: 60), then 429; 0: no limit")
    retry_after_s: int = _knob(0, "Retry-After of a 429; 0: what is left of the minute")

    # Tokens
    token_life_s: int = _knob(3600, "seconds that an access token lives")
    refresh_life_s: int = _knob(60 * 86400, "seconds that a refresh token lives")
    code_life_s: int = _knob(30, "seconds that an authorization code lives")
    old_token_dies: bool = _knob(False, "a refresh ends the access token that it replaces")
    unauthorized_body: bool = _knob(False, "a 401 carries a JSON error body; else it is empty")
    expired_token_word: bool = _knob(False, "the 401 of an expired token says expired_token in WWW-Authenticate")

    # Listings
    page_holes: int = _knob(0, "every Nth entry of an offset page is left out though it is counted; 0: none")
    listing_lag_s: float = _knob(0.0, "seconds until a listing shows a change of its folder")
    empty_marker: bool = _knob(False, "the last marker is an empty string, not null")
    missing_metadata: str = _knob("null", "metadata of an item that has none: null, empty or absent")

    # Events
    event_duplicates: int = _knob(0, "every Nth event comes twice, the second time on a later page too; 0: none")
    event_reorder: int = _knob(0, "every Nth event changes places with the next one; 0: none")
    event_delay_s: float = _knob(0.0, "seconds until an event is listed")
    event_short_pages: bool = _knob(False, "pages before the last hold fewer events than asked for")
    event_per_item: bool = _knob(False, "deleting or moving a folder gives one event for each descendant as well")
    poll_retry_s: int = _knob(610, "retry_timeout of the long poll, seconds")
    poll_idle_s: float = _knob(300.0, "seconds without a change until the long poll says reconnect")
    poll_max_retries: int = _knob(10, "max_retries of the long poll")
    poll_spurious: bool = _knob(False, "the long poll says new_change at once though there is none")

    # Bytes
    content_202: int = _knob(0, "answers 202 with Retry-After to the first N downloads of a new version")
    commit_202: int = _knob(0, "answers 202 with Retry-After to the first N commits of an upload session")
    commit_mismatch: int = _knob(0, "answers 400 parts_mismatch to the first N commits of an upload session")
    part_size: int = _knob(0, "bytes of an upload part; 0: by size as Box does (8, 32, 64 MiB)")
    min_session_size: int = _knob(20_000_000, "smallest file that a chunked upload takes, bytes")
    session_life_s: int = _knob(7 * 86400, "seconds that an upload session lives")
    download_life_s: int = _knob(900, "seconds that a download URL lives")
    range_400: bool = _knob(False, "a range past the end is 400 requested_page_out_of_range; else 416 of the dl host")
    version_200: bool = _knob(False, "a new version answers 200; else 201")
    web_link_200: bool = _knob(False, "a new web link answers 200; else 201")

    # Account
    quota: int = _knob(10 << 40, "space_amount of a user, bytes")
    max_upload_size: int = _knob(5 << 30, "largest file, bytes")
    trash_days: int = _knob(30, "days until trashed items are purged; 0: deleting purges at once")
    versions_kept: int = _knob(100, "past versions kept of one file")
    timezone: str = _knob("America/Los_Angeles", "time zone of the dates in replies")

    # Unsettled questions
    refuse_emoji: bool = _knob(False, "refuses characters outside the BMP in names")
    trashed_folder_code: str = _knob("trashed", "code of the 404 of a trashed folder: trashed or not_found")
    rename_conflict_info: bool = _knob(False, "the 409 of a rename or move names the holder of the name")
    float_sizes: bool = _knob(False, "folder sizes and space_amount are floats")
    search_lag_s: float = _knob(2.0, "seconds until search finds a change (Box: 600 and more)")

    # Time
    clock_offset_s: float = _knob(0.0, "seconds that the server's clock is ahead: time passes at a word")
    seed: int = _knob(1, "of whatever is drawn at random")

    def now(self) -> float:
        """Seconds since the epoch by the server's clock."""
        return time.time() + self.clock_offset_s

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set several knobs, all or none.  Raises: ValueError that names the unknown knob or the bad value."""
        new = {name: _coerce(name, value) for name, value in changes.items()}
        for name, value in new.items():
            setattr(self, name, value)

    def reset(self, *, keep: tuple[str, ...] = ("timezone", "seed")) -> None:
        """Back to the defaults."""
        for name, default in _DEFAULTS.items():
            if name not in keep:
                setattr(self, name, default)


_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Knobs)}
_HELP: dict[str, str] = {f.name: f.metadata["help"] for f in fields(Knobs)}
_WORDS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


def _coerce(name: str, value: Any) -> Any:
    """The value in the knob's own type; text (from a command line) is read."""
    name = name.replace("-", "_")
    if name not in _DEFAULTS:
        raise ValueError(f"there is no knob {name!r}; the knobs are: {', '.join(sorted(_DEFAULTS))}")
    kind = type(_DEFAULTS[name])
    try:
        if kind is bool:
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        if kind is str:
            return str(value)
        if isinstance(value, bool):
            raise TypeError(value)
        number = float(value)
        if kind is int and number != int(number):
            raise ValueError(value)
        if number < 0 and name != "clock_offset_s":
            raise ValueError(value)
        return kind(number)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"knob {name} wants a {kind.__name__}, not {value!r}") from None


def knob_help() -> dict[str, tuple[Any, str]]:
    """name -> (default, text), in the order of the class."""
    return {name: (default, _HELP[name]) for name, default in _DEFAULTS.items()}


def read_file(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(knobs, faults) of a TOML or JSON file: knobs at the top level or under `knobs`, faults in the list `faults`.

    Raises: ValueError with the file's name when it cannot be read as that; OSError.
    """
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{path}: wants a table of knobs")
    faults = data.pop("faults", [])
    knobs = {**data, **data.pop("knobs", {})}
    knobs.pop("knobs", None)
    return knobs, list(faults)


def read_words(words: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """`name=value` words of a command line.  Raises: ValueError on a word without "=" or an unknown knob."""
    knobs = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise ValueError(f"write a knob as name=value, not {word!r}")
        name = name.strip().replace("-", "_")
        knobs[name] = _coerce(name, value.strip())
    return knobs
