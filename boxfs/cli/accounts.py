"""Named accounts: what `boxfs login` has stored, one JSON file (0600) each in the configuration folder.

    accounts/work.json          which way in, which application, whose account; no secret where there is a keyring
    accounts/work.tokens        the pair of OAuth tokens (boxfs.api.tokenfile); shared by all mounts of the account

The application's secrets go into the desktop's keyring where one answers, else into the file.  Tokens always are in a
file: a refresh token works once, so the new pair must be on the disk, fsynced, before it is used, and a keyring
promises nothing of that kind.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from boxfs.api.auth import AsUser, Auth, StaticToken
from boxfs.api.oauth import OAuth2
from boxfs.api.server_auth import ClientCredentials, Jwt, JwtConfig
from boxfs.api.tokenfile import FileStore
from boxfs.cli import settings
from boxfs.cli.exits import CliError, Exit

Way = Literal["oauth", "jwt", "client_credentials", "token"]
_KEYRING_SERVICE = "boxfs"


@dataclass(frozen=True, slots=True)
class Account:
    """way: how in.  secrets: by name (client_secret, token, jwt), in the keyring where `in_keyring`."""

    name: str
    way: Way
    api_url: str
    upload_url: str = ""
    client_id: str = ""
    subject_type: str = ""
    subject_id: str = ""
    as_user: str = ""
    login: str = ""
    in_keyring: bool = False
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def tokens(self) -> FileStore:
        return FileStore(folder() / f"{self.name}.tokens")

    def auth(self) -> Auth:
        """Return the way in.  Raises CliError where a secret is missing, InvalidArgument where a key is broken."""
        auth = self._auth()
        return AsUser(auth, self.as_user) if self.as_user else auth

    def _auth(self) -> Auth:
        if self.way == "token":
            return StaticToken(self._secret("token"))
        if self.way == "oauth":
            return self.oauth()
        if self.way == "jwt":
            config = JwtConfig.from_json(json.loads(self._secret("jwt")))
            user = self.subject_id if self.subject_type == "user" else None
            return Jwt(config, user_id=user, store=self.tokens, api_url=self.api_url)
        kind: Literal["user", "enterprise"] = "user" if self.subject_type == "user" else "enterprise"
        return ClientCredentials(
            self.client_id,
            self._secret("client_secret"),
            kind,
            self.subject_id,
            store=self.tokens,
            api_url=self.api_url,
        )

    def oauth(self) -> OAuth2:
        return OAuth2(self.client_id, self._secret("client_secret"), store=self.tokens, api_url=self.api_url)

    def _secret(self, name: str) -> str:
        value = _from_keyring(f"{self.name}/{name}") if self.in_keyring else self.secrets.get(name)
        if not value:
            raise CliError(f"the {name} of account {self.name} is gone: boxfs login {self.name}", Exit.NO_PERMISSION)
        return value


folder = settings.accounts_folder
names = settings.account_names


def check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]+", name) or name.startswith("."):
        raise CliError(f"{name!r} cannot name an account: letters, digits, and _ . @ + -", Exit.USAGE)
    return name


def load(name: str) -> Account | None:
    """Return the stored account.  Raises CliError where its file is damaged or open to others."""
    path = folder() / f"{check_name(name)}.json"
    try:
        if path.stat().st_mode & 0o077:
            raise CliError(f"{path} can be read by others: chmod 600 it", Exit.CONFIG)
        return Account(**{**json.loads(path.read_text()), "name": name})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CliError(f"{path} is damaged ({error}): boxfs login {name}", Exit.CONFIG) from None


def save(account: Account, *, keyring: bool) -> Account:
    """Store the account; returns it as stored.  keyring: whether a keyring may take the secrets."""
    if keyring and account.secrets and _keyring_takes(account):
        account = replace(account, in_keyring=True, secrets={})
    path = folder() / f"{check_name(account.name)}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump({name: value for name, value in asdict(account).items() if name != "name"}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return account


def forget(account: Account) -> None:
    """Remove the account and its secrets from this machine."""
    if account.in_keyring:
        for name in ("client_secret", "token", "jwt"):
            _drop_from_keyring(f"{account.name}/{name}")
    account.tokens.clear()
    (folder() / f"{account.name}.json").unlink(missing_ok=True)


# The keyring.  Its back ends fail in ways of their own (no D-Bus, locked, a plug-in's own exceptions): any failure
# means that there is none, and the file is used.


def _ring() -> Any | None:
    try:
        import keyring
        import keyring.backends.fail

        ring = keyring.get_keyring()
        usable = not isinstance(ring, keyring.backends.fail.Keyring) and ring.priority >= 1
    except Exception:  # noqa: BLE001
        return None
    return ring if usable else None


def _keyring_takes(account: Account) -> bool:
    ring = _ring()
    if ring is None:
        return False
    try:
        for name, value in account.secrets.items():
            ring.set_password(_KEYRING_SERVICE, f"{account.name}/{name}", value)
            if ring.get_password(_KEYRING_SERVICE, f"{account.name}/{name}") != value:
                return False
    except Exception:  # noqa: BLE001
        return False
    return True


def _from_keyring(entry: str) -> str | None:
    ring = _ring()
    try:
        value = ring.get_password(_KEYRING_SERVICE, entry) if ring is not None else None
    except Exception:  # noqa: BLE001
        return None
    return str(value) if value else None


def _drop_from_keyring(entry: str) -> None:
    ring = _ring()
    if ring is not None:
        try:
            ring.delete_password(_KEYRING_SERVICE, entry)
        except Exception:  # noqa: BLE001
            return
