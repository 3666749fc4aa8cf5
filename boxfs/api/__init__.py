"""Box over HTTP: BoxClient for programs, BoxDrive for the file system, and the ways in.  docs/CLIENT.md shows them.

Names are loaded when they are first used: a command that makes no calls need not wait for what makes them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boxfs.api.auth import AsUser, Auth, ChangingToken, DeveloperToken, StaticToken
    from boxfs.api.client import BoxClient
    from boxfs.api.drive import BoxDrive
    from boxfs.api.fetched import FetchedToken
    from boxfs.api.http import Timeouts
    from boxfs.api.oauth import OAuth2
    from boxfs.api.retry import Backoff
    from boxfs.api.server_auth import ClientCredentials, Jwt, JwtConfig
    from boxfs.api.session import Session
    from boxfs.api.tokenfile import FileStore
    from boxfs.api.tokenredis import RedisStore
    from boxfs.api.tokens import MemoryStore, Tokens, TokenStore

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

_WHERE = {
    "AsUser": "boxfs.api.auth",
    "Auth": "boxfs.api.auth",
    "ChangingToken": "boxfs.api.auth",
    "DeveloperToken": "boxfs.api.auth",
    "StaticToken": "boxfs.api.auth",
    "BoxClient": "boxfs.api.client",
    "BoxDrive": "boxfs.api.drive",
    "FetchedToken": "boxfs.api.fetched",
    "Timeouts": "boxfs.api.http",
    "OAuth2": "boxfs.api.oauth",
    "Backoff": "boxfs.api.retry",
    "ClientCredentials": "boxfs.api.server_auth",
    "Jwt": "boxfs.api.server_auth",
    "JwtConfig": "boxfs.api.server_auth",
    "Session": "boxfs.api.session",
    "FileStore": "boxfs.api.tokenfile",
    "RedisStore": "boxfs.api.tokenredis",
    "MemoryStore": "boxfs.api.tokens",
    "Tokens": "boxfs.api.tokens",
    "TokenStore": "boxfs.api.tokens",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
