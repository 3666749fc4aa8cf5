"""The knobs of the emulator: one dataclass, changeable while it runs.

Every knob has a default under which the emulator behaves as Box does on a good day.  `update` takes what the command
line, a settings file or the admin endpoint says, checks names and types, and changes all or nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class BadSetting(ValueError):
    """A knob that does not exist, or a value of the wrong type."""


@dataclass
class Settings:
    # The account.
    space_amount: int = 10_737_418_240
    """Quota of each user in bytes; `storage_limit_exceeded` beyond it."""
    max_upload_size: int = 5_368_709_120
    """Largest file in bytes; `file_size_limit_exceeded` beyond it."""
    timezone: str = "America/Los_Angeles"
    """The zone whose offset all times carry (trap 21)."""

    # Replies.
    gzip: bool = True
    """Compress JSON replies of more than 1,400 bytes for clients that ask."""
    json_401: bool = False
    """Give a 401 a JSON body; Box's is empty (section 23)."""
    new_version_status: int = 201
    """Status of a new version: 201 in fixtures, 200 in the document."""
    refuse_astral_names: bool = False
    """Refuse names with characters beyond the BMP."""
    trim_upload_names: bool = False
    """Trim trailing spaces of uploaded names instead of refusing them."""

    web_link_status: int = 201
    """Status of a new web link: 201 in fixtures, 200 in the document."""
    missing_metadata: str = "null"
    """Metadata of an entry that has none: "null" or "empty"."""

    # The wire.
    latency_s: float = 0.0
    """Every request waits that long before it is looked at."""
    bandwidth: int = 0
    """Bytes per second of one connection, each way; 0: no limit."""
    calls_per_minute: int = 0
    """API calls a user may make in a minute (Box: 1000), then 429 with Retry-After; 0: no limit."""
    uploads_per_minute: int = 0
    """Uploads a user may make in a minute (Box: 240); 0: no limit."""
    searches_per_minute: int = 0
    """Searches a user may make in a minute (Box: 60); 0: no limit."""
    rate_retry_after_s: int = 0
    """Retry-After of a 429; 0: what is left of the minute."""
    clock_offset_s: float = 0.0
    """The server's clock is ahead by that: tokens, URLs and sessions age at a word."""

    # Tokens.
    token_life_s: float = 3600.0
    """How long an access token lives."""
    refresh_life_s: float = 60 * 86400.0
    """How long a refresh token lives."""
    code_life_s: float = 30.0
    """How long an authorization code lives."""
    old_token_dies: bool = False
    """A refresh ends the access token that it replaces; else it lives to its time (section 2.2)."""
    expired_token_word: bool = False
    """The 401 of an expired token says expired_token in WWW-Authenticate (section 2.5)."""

    # Search.
    search_lag_s: float = 0.0
    """Search finds a change only after this time (Box: 600 and more)."""

    # Listings.
    listing_holes: int = 0
    """n > 0: after every n entries one slot of the listing is invisible: short pages, total_count too high."""
    listing_lag_s: float = 0.0
    """Listings show a change only after this time; GET by id is current at once."""
    last_marker: str = "null"
    """How the last page of a marker listing says so: "null", "empty" or "absent"."""
    max_items_offset: int = 300_000
    """Greatest offset in the items of a folder and in the trash; 400 beyond it."""
    max_offset: int = 10_000
    """Greatest offset in search, versions and parts; 400 beyond it."""

    generic_paging_error: bool = False
    """A limit or offset that is no number is answered bad_request, not invalid_limit or invalid_offset."""

    # Changes.
    update_conflicts: str = "none"
    """How a rename or move tells who holds the name: "none", "object" or "list"."""
    children_change_parents: bool = False
    """A change of a child moves on etag and modified_at of its folder."""
    lock_bumps_etag: bool = False
    """Locking and unlocking are changes of the file."""
    missing_if_match_412: bool = False
    """A change with an if-match of an item that is not there is answered 412, not 404."""
    large_operation_items: int = 0
    """> 0: a move, copy or delete of a folder with more items than this keeps its trees busy for large_operation_s."""
    large_operation_s: float = 1.0
    """How long other changes in such a tree are answered 409 operation_blocked_temporary."""

    # Downloads.
    download_url_life_s: float = 900.0
    """How long a download URL is good."""
    download_host: str = ""
    """HOST or HOST:PORT of download URLs; empty: another name of the same server (127.0.0.1 <-> localhost)."""
    range_error_400: bool = False
    """A range beyond the end is answered 400 requested_page_out_of_range by the API, not 416 by the download host."""
    fresh_content_202: int = 0
    """The first n downloads of each new version are answered 202 with Retry-After."""
    retry_after_s: int = 1
    """Retry-After of 202 answers."""

    # Chunked uploads.
    min_session_size: int = 20_000_000
    """Smallest file that may be uploaded in parts; `file_size_too_small` below it."""
    part_size: int = 0
    """Size of parts; 0: 8 MiB below 1 GB, 32 MiB below 4 GB, 64 MiB above."""
    session_conflict: bool = False
    """Refuse a second session for the same target: 409 session_conflict.  Box does so not always."""
    session_life_s: float = 7 * 86400.0
    """How long an upload session lives."""
    commit_202: int = 0
    """The first n commits of each session are answered 202 with Retry-After."""
    commit_parts_mismatch: int = 0
    """The first n commits of each session (after the 202s) are answered 400 parts_mismatch."""

    # Versions and trash.
    same_content_is_no_version: bool = False
    """An upload of the content that the file has already changes nothing."""
    keep_versions: int = 100
    """Past versions kept of one file."""
    trash: bool = True
    """False: DELETE purges at once."""
    trash_days: int = 30
    """Days between trashed_at and purged_at."""
    trashed_folder_code: str = "trashed"
    """Code of the 404 of a trashed folder: "trashed" or "not_found"."""
    trashed_inside_code: str = "trashed"
    """Code of the 404 of what lies in a trashed folder: "trashed" or "not_found"."""
    trash_bumps_etag: bool = True
    """Trashing is a change of the item."""

    # Events.
    event_delay_s: float = 0.0
    """Events are listed (and long polls answered) only after this time."""
    event_days: int = 21
    """Days that events are held; an older position is served from the oldest event on."""
    event_early_poll: bool = False
    """Answer long polls at once although the event is listed only after `event_delay_s`."""
    event_duplicates: float = 0.0
    """Share (0 to 1) of events that come twice, in the same page or on a later one."""
    event_reorder: int = 0
    """n > 1: events are shuffled inside windows of n."""
    event_short_pages: bool = False
    """Pages hold fewer events than asked for although more follow."""
    event_null_source: float = 0.0
    """Share (0 to 1) of events whose source is null."""
    events_per_descendant: bool = False
    """A recursive trash or restore tells one event per descendant too, not only one for the folder."""
    event_move_and_rename: bool = True
    """A move with a new name gives ITEM_MOVE and ITEM_RENAME; else only ITEM_MOVE."""
    event_new_version_type: str = "ITEM_UPLOAD"
    """Type of a new version's event: ITEM_UPLOAD or ITEM_MODIFY."""
    poll_reconnect_s: float = 600.0
    """An idle long poll is answered "reconnect" after this time."""
    poll_retry_timeout_s: int = 610
    """retry_timeout of OPTIONS /events."""
    poll_max_retries: int = 10
    """max_retries of OPTIONS /events."""
    poll_spurious_s: float = 0.0
    """> 0: a long poll is answered new_change after this time though nothing happened."""

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set several knobs at once.  Raises BadSetting and changes nothing if one is unknown or of the wrong type."""
        known = {f.name: f for f in dataclasses.fields(self)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise BadSetting(f"no knob is called {name!r}; there are: {', '.join(sorted(known))}")
            checked[name] = _as_type(name, type(getattr(self, name)), value)
            if checked[name] not in _CHOICES.get(name, (checked[name],)):
                raise BadSetting(f"{name} is one of {', '.join(map(str, _CHOICES[name]))}, not {value!r}")
            if isinstance(value, int | float) and value < 0 and name != "clock_offset_s":
                raise BadSetting(f"{name} is not below 0")
        for name, value in checked.items():
            setattr(self, name, value)

    def reset(self, start: Mapping[str, Any]) -> None:
        """Go back to the defaults with `start` on top (what the command line gave)."""
        self.update(dataclasses.asdict(type(self)()))
        self.update(start)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, assignment: str) -> tuple[str, Any]:
        """Read NAME=VALUE of the command line."""
        name, equals, text = assignment.partition("=")
        if not equals:
            raise BadSetting(f"expected NAME=VALUE, not {assignment!r}")
        default = getattr(cls(), name, None)
        if isinstance(default, bool):
            if text.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
                raise BadSetting(f"{name} wants true or false, not {text!r}")
            return name, text.lower() in ("true", "1", "yes", "on")
        if isinstance(default, int | float):
            try:
                return name, type(default)(text)
            except ValueError:
                raise BadSetting(f"{name} wants a number, not {text!r}") from None
        return name, text


_CHOICES: dict[str, tuple[Any, ...]] = {
    "new_version_status": (200, 201),
    "web_link_status": (200, 201),
    "missing_metadata": ("null", "empty"),
    "last_marker": ("null", "empty", "absent"),
    "trashed_folder_code": ("trashed", "not_found"),
    "trashed_inside_code": ("trashed", "not_found"),
    "update_conflicts": ("none", "object", "list"),
    "event_new_version_type": ("ITEM_UPLOAD", "ITEM_MODIFY"),
}


def described() -> dict[str, tuple[str, Any, str]]:
    """name -> (group, default, meaning), from the source of `Settings`: comments are groups, docstrings meanings."""
    source = inspect.getsource(Settings)
    lines = source.splitlines()
    found: dict[str, tuple[str, Any, str]] = {}
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    defaults = Settings().as_dict()
    for node, following in itertools.pairwise(body.body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        above = [line.strip() for line in lines[: node.lineno] if line.strip().startswith("# ")]
        text = following.value if isinstance(following, ast.Expr) else None
        meaning = str(text.value) if isinstance(text, ast.Constant) else ""
        found[node.target.id] = (above[-1].strip("# ."), defaults[node.target.id], meaning)
    return found


def _as_type(name: str, wanted: type, value: Any) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise BadSetting(f"{name} wants {wanted.__name__}, not {value!r}")
    return value
