"""Box over HTTP: BoxClient for programs, BoxDrive for the file system, and the ways in.  docs/CLIENT.md shows them."""

from typing import TYPE_CHECKING

from boxfs.api.auth import AsUser, Auth, ChangingToken, DeveloperToken, StaticToken
from boxfs.api.client import BoxClient
from boxfs.api.drive import BoxDrive
from boxfs.api.fetched import FetchedToken
from boxfs.api.http import Timeouts
from boxfs.api.oauth import OAuth2
from boxfs.api.retry import Backoff
from boxfs.api.session import Session
from boxfs.api.tokenfile import FileStore
from boxfs.api.tokens import MemoryStore, Tokens, TokenStore

if TYPE_CHECKING:
    from boxfs.api.server_auth import ClientCredentials, Jwt, JwtConfig
    from boxfs.api.tokenredis import RedisStore

__all__ = [
    "AsUser",
    "Auth",
    "Backoff",
    "BoxClient",
    "BoxDrive",
    "ChangingToken",
    "ClientCredentials",
    "DeveloperToken",
    "FetchedToken",
    "FileStore",
    "Jwt",
    "JwtConfig",
    "MemoryStore",
    "OAuth2",
    "RedisStore",
    "Session",
    "StaticToken",
    "Timeouts",
    "TokenStore",
    "Tokens",
]

# What needs a package that takes long to import, or that not everybody has.
_LATE = {
    "ClientCredentials": "boxfs.api.server_auth",
    "Jwt": "boxfs.api.server_auth",
    "JwtConfig": "boxfs.api.server_auth",
    "RedisStore": "boxfs.api.tokenredis",
}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
