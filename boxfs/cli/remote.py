"""REMOTE as people write it: `box:`, `box:/Folder/Sub`, `NAME:/…` for a named account."""

from __future__ import annotations

import re
from dataclasses import dataclass

from boxfs.cli.exits import CliError, Exit

DEFAULT_ACCOUNT = "box"


@dataclass(frozen=True, slots=True)
class RemoteName:
    """account: a name of `boxfs accounts`.  parts: folder names from the account's root."""

    account: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.account}:/{'/'.join(self.parts)}"


def parse_remote(text: str) -> RemoteName:
    """Read REMOTE.  Raises CliError (usage)."""
    found = re.fullmatch(r"([A-Za-z0-9_.@+-]+):(.*)", text, re.DOTALL)
    if found is None:
        raise CliError(f"{text!r} is no remote: write box: or box:/Folder/Sub, or NAME: of an account", Exit.USAGE)
    parts = tuple(part for part in found[2].split("/") if part)
    if any(part in (".", "..") for part in parts):
        raise CliError(f"{text!r}: a remote's path has no . and .. in it", Exit.USAGE)
    return RemoteName(found[1], parts)
