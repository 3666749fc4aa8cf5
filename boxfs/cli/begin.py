"""The questions of a mount's start: does Box let us in, which folder is the root, and what is in it?

They are asked in a thread of their own (`Beginning`), while the rest of boxfs is loaded and local state is opened.  The
answers are kept in the cache folder (start.json).  A warm start with the same credentials asks nothing here: what
the events bring is the one question that it has for Box.  It also may do without Box: the mount then begins offline.

A cold start asks where the event stream stands, which also proves the token, and then, since nothing that happens from
there on is missed, for the root's listing.  Whose account it is can wait until somebody wants to know, a second at most
(`of_account`); a mount that ends before never asks.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from boxfs import __version__
from boxfs.api import http
from boxfs.api.drive import BoxDrive
from boxfs.api.proven import Proven
from boxfs.api.retry import Backoff
from boxfs.api.transport import RequestsTransport
from boxfs.base.errors import FsError, RemoteError, Unauthorized
from boxfs.base.types import ROOT_FOLDER, Account, Item, ItemId, Kind
from boxfs.cli.counting import CallCounter
from boxfs.cli.credentials import auth_for
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.mount import Request
from boxfs.cli.preflight import check_token_file

log = logging.getLogger("boxfs.mount")

_FILE = "start.json"

# A start waits for one answer of Box; it then goes on with what is cached, or tells that it cannot.
_CONNECT_S, _READ_S = 5.0, 15.0
_BACKOFF = Backoff(attempts=2)


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of the account; account_id, login and name are "" until Box was asked for them.

    credentials: a digest, to see whether they are those of the last start.
    Not kept: space, bytes there are and bytes used, and position, of the event stream, where Box was asked just now;
    unproven, whether the cache may be another account's; unasked, whether the credentials may be, since Box could not
    be asked.
    """

    api_url: str
    remote: str
    account_id: str
    login: str
    name: str
    root_id: str
    credentials: str
    space: tuple[int, int] | None = None
    position: int | None = None
    unproven: bool = False
    unasked: bool = False

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
    account: Account | None = None
    position: int | None = None
    try:
        if known is None:
            position = box.events_now()
            root = _resolve(box, request)
        else:
            root, account = known.root, box.account()
            if known.account_id not in ("", account.id):
                raise CliError(another_account(cache_dir, known, account), Exit.USAGE)
    except Unauthorized as error:
        raise CliError(f"Box refuses the token of {request.remote.account}: {error}", Exit.NO_PERMISSION) from error
    except RemoteError as error:
        if known is None:
            raise CliError(
                f"{api_url} cannot be reached, and nothing is cached to go on without it: {error}", Exit.UNAVAILABLE
            ) from error
        if not known.account_id:
            raise CliError(
                f"{api_url} cannot be reached, and whose account cache folder {cache_dir} is of was never asked: mount "
                f"it with the former login, or give this mount its own --cache-dir: {error}",
                Exit.UNAVAILABLE,
            ) from error
        log.warning("Box cannot be reached; the mount begins with what is cached: %s", error)
        return replace(known, api_url=api_url, credentials=credentials, unasked=True)
    start = Start(
        api_url=api_url,
        remote=str(request.remote),
        account_id="",
        login="",
        name="",
        root_id=root,
        credentials=credentials,
    )
    if account is None:
        keep(cache_dir, start)
        return replace(start, position=position)
    unproven = known is not None and not known.account_id
    start = replace(of_account(start, account), unproven=unproven)
    if not unproven:
        keep(cache_dir, start)
    return replace(start, space=(account.space_amount, account.space_used))


def another_account(cache_dir: Path, known: Start, account: Account) -> str:
    return (
        f"cache folder {cache_dir} belongs to {known.login}, and the token is of {account.login}; "
        "give this mount its own --cache-dir"
    )


def of_account(start: Start, account: Account) -> Start:
    return replace(start, account_id=account.id, login=account.login, name=account.name)


class Beginning:
    """Asks from now on; `start` and `first_listing` wait for the answers."""

    def __init__(self, request: Request, cache_dir: Path) -> None:
        options = request.options
        auth = auth_for(request.remote.account, options)
        api_url, upload_url = options.endpoints()
        transport = RequestsTransport(timeouts=http.Timeouts(read_s=options.timeout), user_agent=f"boxfs/{__version__}")
        self.counter = CallCounter(transport, cache_dir / "calls.json")
        self.proven = Proven(auth, api_url, self._refusal, self._is_proven)
        self.box = BoxOfMount(self.proven, api_url=api_url, upload_url=upload_url, transport=self.counter)
        self._request, self._cache_dir = request, cache_dir
        self._quick = BoxDrive(
            auth, api_url=api_url, upload_url=upload_url, transport=_Quick(self.counter), backoff=_BACKOFF
        )
        self._start: Future[Start] = Future()
        self._listing: Future[list[Item]] = Future()
        threading.Thread(target=self._ask, name="boxfs-begin", daemon=True).start()

    def start(self) -> Start:
        """Raises as `begin`."""
        return self._start.result()

    def first_listing(self) -> list[Item]:
        """Return what is in the root.  After a cold start only; raises what BoxDrive.list_folder raises."""
        return self._listing.result()

    def _ask(self) -> None:
        try:
            start = begin(self._request, self._quick, self._cache_dir)
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            self._start.set_exception(error)
            return
        self.proven.belongs_to(start.account_id, proven=not start.unasked)
        self._start.set_result(start)
        if start.position is None:
            return
        try:
            self._listing.set_result(self._quick.list_folder(start.root))
        except BaseException as error:  # noqa: BLE001 - the same
            self._listing.set_exception(error)

    def _refusal(self, account: Account) -> str:
        return f"{another_account(self._cache_dir, self.start(), account)}, or the former login"

    def _is_proven(self) -> None:
        if self.start().unasked:
            keep(self._cache_dir, self.start())


class BoxOfMount(BoxDrive):
    """A BoxDrive to which one listing may be handed that was asked for before there was a tree."""

    _early: tuple[ItemId, Beginning] | None = None

    def expect(self, root: ItemId, beginning: Beginning) -> threading.Event:
        """Have the next listing of the root be the one that is under way.  The event is set once it is waited for."""
        self._waited_for = threading.Event()
        self._early = (root, beginning)
        return self._waited_for

    def list_folder(self, folder_id: ItemId, *, background: bool = False) -> list[Item]:
        early = self._early
        if early is not None and early[0] == folder_id:
            self._early = None
            self._waited_for.set()
            try:
                return early[1].first_listing()
            except FsError as error:
                log.debug("the first listing is asked for again: %s", error)
        return super().list_folder(folder_id, background=background)


class _Quick:
    """The same connections, for who gives up soon."""

    def __init__(self, inner: http.Transport) -> None:
        self._inner = inner

    def send(self, request: http.Request) -> http.Response:
        return self._inner.send(replace(request, connect_timeout_s=_CONNECT_S, read_timeout_s=_READ_S))

    def close(self) -> None:
        """They are the mount's."""


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
    held = options.token
    if not held and options.token_file is not None:
        held = check_token_file(options.token_file)
    elif not held:
        from boxfs.cli import accounts

        stored = accounts.load(request.remote.account)
        held = stored.login if stored is not None else ""
    text = "\0".join((request.remote.account, held, str(options.token_file or ""), options.as_user))
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"boxfs start").hexdigest()


def _read(cache_dir: Path) -> Start | None:
    try:
        return Start(**json.loads((cache_dir / _FILE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s is not readable and asked anew: %s", cache_dir / _FILE, error)
        return None


def keep(cache_dir: Path, start: Start) -> None:
    """Let the next start know this; the cache is proven to be of that account."""
    kept = replace(start, space=None, position=None, unproven=False, unasked=False)
    fresh = cache_dir / f"{_FILE}.new"
    fresh.write_text(json.dumps(asdict(kept), indent=1))
    fresh.chmod(0o600)
    fresh.replace(cache_dir / _FILE)
