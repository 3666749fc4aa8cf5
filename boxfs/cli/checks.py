"""The checks of `boxfs doctor`: each looks at one thing and says, where it is not well, what cures it."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import socket
import ssl
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies

from boxfs.base.config import Settings
from boxfs.base.errors import FsError, Unauthorized
from boxfs.base.units import format_seconds, format_size
from boxfs.cli import mounts, places
from boxfs.cli.exits import CliError
from boxfs.cli.preflight import check_fuse, check_others_allowed
from boxfs.fuse.library import FuseMissing, load

_DISK_LOW_BYTES = 1 << 30
_CLOCK_OFF_S = 60.0  # Box refuses JWT assertions of clocks that are further off (box-api.md section 2.3)


_TOKEN = re.compile(r"(?m)^\s*token\s*=")  # not token_file


@dataclass(frozen=True, slots=True)
class Finding:
    """ok: True well, False not well, None worth knowing.  cure: what to do, where it is not well."""

    what: str
    ok: bool | None
    told: str
    cure: str = ""


Check = Callable[[str, Settings], Iterator[Finding]]


def fuse(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    try:
        check_fuse()
        version = ".".join(str(part) for part in load().version)
    except (CliError, FuseMissing) as error:
        yield Finding("fuse", False, str(error), "see docs/INSTALL.md")
        return
    yield Finding("fuse", True, f"/dev/fuse, {shutil.which('fusermount3')}, libfuse {version}")
    try:
        check_others_allowed(settings.options)
    except CliError as error:
        yield Finding("allow_other", False, str(error), "or mount without it")


def kernel(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    release = platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    yield Finding("kernel", numbers >= (5, 4), release, "" if numbers >= (5, 4) else "Linux 5.4 or later is wanted")
    if numbers < (6, 16):
        yield Finding("kernel", None, "no epoch notice (Linux 6.16): after a long outage names are dropped one by one")


def python(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    yield Finding("python", True, f"{platform.python_version()} at {sys.executable}")
    try:
        hashlib.sha1(b"", usedforsecurity=False)
    except ValueError:
        yield Finding("openssl", False, f"{ssl.OPENSSL_VERSION} refuses SHA-1", "Box needs it for checksums")
        return
    try:
        hashlib.md5(b"")  # only FIPS mode refuses it without usedforsecurity=False
    except ValueError:
        yield Finding("openssl", None, f"{ssl.OPENSSL_VERSION} in FIPS mode: boxfs uses SHA-1 for checksums only")
    else:
        yield Finding("openssl", True, ssl.OPENSSL_VERSION)


def folders(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    place = settings.options.cache_dir or places.state_dir()
    existing = next(path for path in (place, *place.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("disk", False, f"{existing} cannot be written", "choose another cache_dir, or mend its rights")
        return
    free = shutil.disk_usage(existing).free
    low = free < _DISK_LOW_BYTES
    yield Finding("disk", not low, f"{format_size(free)} free at {existing}",
                  "make room, or choose another cache_dir" if low else "")  # fmt: skip
    for path in places.config_files():
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) and _TOKEN.search(path.read_text()):
            yield Finding("config", False, f"{path} holds a token and can be read by others", f"chmod 600 {path}")


def stale(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    for one in mounts.running_mounts():
        if not one.alive():
            yield Finding("mount", False, f"{one.mountpoint}: its process is dead",
                          f"boxfs umount {one.mountpoint}, then mount again")  # fmt: skip
        else:
            yield Finding("mount", True, f"{one.remote} at {one.mountpoint} (process {one.pid})")


def network(account: str, settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    for url in dict.fromkeys(settings.options.endpoints()):
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        proxy = getproxies().get(parts.scheme)
        if proxy:
            seen = urlsplit(proxy)
            yield Finding("proxy", None, f"{parts.scheme} goes by {seen.hostname}:{seen.port} (environment)")
            continue
        try:
            addresses = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError as error:
            yield Finding("dns", False, f"{host}: {error}", "check /etc/resolv.conf, or the network")
            continue
        yield Finding("dns", True, f"{host} is {', '.join(sorted(map(str, addresses))[:3])}")
        yield from _connect(host, port, tls=parts.scheme == "https")


def _connect(host: str, port: int, *, tls: bool) -> Iterator[Finding]:
    try:
        with socket.create_connection((host, port), timeout=10) as plain:
            if not tls:
                yield Finding("tcp", True, f"{host}:{port} answers (without TLS)")
                return
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure:
                yield Finding("tls", True, f"{host}: {secure.version()}, certificate trusted")
    except ssl.SSLError as error:
        yield Finding("tls", False, f"{host}: {error.reason}", "a proxy that opens TLS? put its CA in SSL_CERT_FILE, "
                      "or apt install ca-certificates")  # fmt: skip
    except OSError as error:
        yield Finding(
            "tcp", False, f"{host}:{port}: {error.strerror or error}", "a firewall, or a proxy to be set in https_proxy"
        )


def token(account: str, settings: Settings) -> Iterator[Finding]:
    from boxfs.api.drive import BoxDrive
    from boxfs.api.http import Timeouts
    from boxfs.api.retry import Backoff
    from boxfs.cli.credentials import auth_for

    options = settings.options
    try:
        auth = auth_for(account, options)
    except (CliError, ValueError) as error:
        yield Finding("token", False, str(error), "boxfs login, or BOXFS_TOKEN")
        return
    api, upload = options.endpoints()
    box = BoxDrive(auth, api_url=api, upload_url=upload, backoff=Backoff(attempts=1), timeouts=Timeouts(5, 20))
    try:
        response = box.session.request("GET", "/users/me")
        who = box.account()
    except Unauthorized as error:
        yield Finding("token", False, f"Box refuses it: {error}", "log in again, or give a new token")
        return
    except FsError as error:
        yield Finding("token", None, f"not asked: {error}")
        return
    finally:
        box.close()
    yield Finding("token", True, f"{who.name} <{who.login}>")
    used = f"{format_size(who.space_used)} of {format_size(who.space_amount)} used"
    full = who.space_used >= who.space_amount > 0
    yield Finding("quota", not full, used, "Box takes no more: make room there" if full else "")
    date = next((value for name, value in response.headers.items() if name.lower() == "date"), None)
    if date:
        off = time.time() - parsedate_to_datetime(date).timestamp()
        wrong = abs(off) > _CLOCK_OFF_S
        yield Finding("clock", not wrong, f"{format_seconds(abs(off))} {'ahead of' if off > 0 else 'behind'} Box's",
                      "set the clock (timedatectl set-ntp true)" if wrong else "")  # fmt: skip


ALL: tuple[Check, ...] = (fuse, kernel, python, folders, stale, network, token)
