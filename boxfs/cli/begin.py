"""The questions of a mount's start: whose account is it, which folder is the root, and does Box answer at all?

The answers are kept in the cache folder (start.json).  A warm start with the same credentials asks nothing here: what
the events bring is the one question that it has for Box.  It also may do without Box: the mount then begins offline.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from boxfs.api.drive import BoxDrive
from boxfs.base.errors import RemoteError, Unauthorized
from boxfs.base.types import ROOT_FOLDER, ItemId, Kind
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.mount import Request

log = logging.getLogger("boxfs.mount")

_FILE = "start.json"


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of the account.  credentials: a digest, to see whether they are those of the last start.

    space: bytes there are and bytes used, where Box was asked just now; not kept.
    """

    api_url: str
    remote: str
    account_id: str
    login: str
    name: str
    root_id: str
    credentials: str
    space: tuple[int, int] | None = None

    @property
    def root(self) -> ItemId:
        return ItemId(self.root_id)


def begin(request: Request, box: BoxDrive, cache_dir: Path) -> Start:
    """Return what the mount rests on; asks Box only where the last start does not tell.

    Raises CliError: the token is refused, the folder does not exist, the cache folder is another account's, or Box
    cannot be reached and nothing is cached.
    """
    known = _read(cache_dir)
    api_url = request.options.endpoints()[0]
    credentials = _digest(request)
    if known is not None and known.remote != str(request.remote):
        raise CliError(
            f"cache folder {cache_dir} belongs to {known.remote}; give this mount its own --cache-dir", Exit.USAGE
        )
    if known is not None and (known.credentials, known.api_url) == (credentials, api_url):
        return known
    try:
        account = box.account()
        if known is not None and known.account_id != account.id:
            raise CliError(
                f"cache folder {cache_dir} belongs to {known.login}, and the token is of {account.login}; "
                "give this mount its own --cache-dir",
                Exit.USAGE,
            )
        root = known.root if known is not None else _resolve(box, request)
    except Unauthorized as error:
        raise CliError(f"Box refuses the token of {request.remote.account}: {error}", Exit.NO_PERMISSION) from error
    except RemoteError as error:
        if known is None:
            raise CliError(
                f"{api_url} cannot be reached, and nothing is cached to go on without it: {error}", Exit.UNAVAILABLE
            ) from error
        log.warning("Box cannot be reached; the mount begins with what is cached: %s", error)
        return known
    start = Start(
        api_url=api_url,
        remote=str(request.remote),
        account_id=account.id,
        login=account.login,
        name=account.name,
        root_id=root,
        credentials=credentials,
    )
    _write(cache_dir, start)
    return replace(start, space=(account.space_amount, account.space_used))


def _resolve(box: BoxDrive, request: Request) -> ItemId:
    """Walk from the account's root to the folder of the remote.  Names match as Box does it: without case."""
    folder = ROOT_FOLDER
    for part in request.remote.parts:
        entries = [one for one in box.list_folder(folder) if one.name.casefold() == part.casefold()]
        found = next((one for one in entries if one.kind is Kind.FOLDER), None)
        if found is None:
            what = "is not a folder" if entries else "does not exist"
            raise CliError(f"{request.remote}: {part!r} {what} at Box", Exit.NO_INPUT)
        folder = found.id
    return folder


def _digest(request: Request) -> str:
    """Tell credentials apart without keeping them: a keyed digest says nothing to who does not have them."""
    options = request.options
    text = "\0".join((request.remote.account, options.token, str(options.token_file or ""), options.as_user))
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"boxfs start").hexdigest()


def _read(cache_dir: Path) -> Start | None:
    try:
        return Start(**json.loads((cache_dir / _FILE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s is not readable and asked anew: %s", cache_dir / _FILE, error)
        return None


def _write(cache_dir: Path, start: Start) -> None:
    fresh = cache_dir / f"{_FILE}.new"
    fresh.write_text(json.dumps(asdict(start), indent=1))
    fresh.chmod(0o600)
    fresh.replace(cache_dir / _FILE)
