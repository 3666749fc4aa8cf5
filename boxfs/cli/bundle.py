"""boxfs bundle: what somebody who is to help needs to see, in one file, without secrets and without contents.

Names of files stand in logs and status; `--no-names` replaces them by digests that stay the same within the bundle.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from boxfs import __version__
from boxfs.base.config import build
from boxfs.base.option import OptionError
from boxfs.cli import checks, logs, mounts, settings
from boxfs.cli.config import told
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.remote import DEFAULT_ACCOUNT
from boxfs.cli.status import ask
from boxfs.fuse.mountpoint import mounts as kernel_mounts

_LOG_BYTES = 2 << 20
# What looks like a path or a quoted name in a log line or in JSON.
_NAMES = re.compile(r"""(?<=['"/])[^'"/\n]{1,255}(?=['"/])""")


@click.command("bundle", short_help="Gather what somebody who is to help needs to see.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--no-names", is_flag=True, help="Replace names of files by digests.")
def command(file: Path | None, no_names: bool) -> int:
    """Write FILE (boxfs-bundle-DATE.tar.gz): versions, settings, checks, status and logs; no secrets, no contents."""
    path = file or Path(time.strftime("boxfs-bundle-%Y%m%d-%H%M%S.tar.gz"))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", Exit.CANNOT_CREATE) from None
    with os.fdopen(fd, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in parts():
            data = logs.masked(_without_names(text) if no_names else text).encode(errors="replace")
            entry = tarfile.TarInfo(f"boxfs-bundle/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            tar.addfile(entry, io.BytesIO(data))
    click.echo(f"wrote {path}; look through it before you send it")
    return Exit.OK


def _without_names(text: str) -> str:
    def digest(found: re.Match[str]) -> str:
        return "n" + hashlib.blake2b(found[0].encode(errors="replace"), digest_size=4).hexdigest()

    return _NAMES.sub(digest, text)


def parts() -> Iterator[tuple[str, str]]:
    """Yield (name in the bundle, text), not yet masked."""
    yield (
        "system.json",
        json.dumps(
            {
                "boxfs": __version__,
                "python": sys.version,
                "kernel": platform.release(),
                "system": _os_release(),
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            },
            indent=1,
        ),
    )
    try:
        found = settings.gather(DEFAULT_ACCOUNT, None)
        yield "config.json", json.dumps(told(found), indent=1)
    except (CliError, OptionError) as error:
        found = build([])
        yield "config.json", str(error)
    results = []
    for check in checks.ALL:
        try:
            results += [asdict(one) for one in check(DEFAULT_ACCOUNT, found)]
        except OSError as error:
            results.append({"what": check.__name__, "told": str(error)})
    yield "doctor.json", json.dumps(results, indent=1)
    yield (
        "mounts.txt",
        "".join(f"{one.source} {one.path} {one.kind}\n" for one in kernel_mounts() if one.kind.startswith("fuse")),
    )
    for number, running in enumerate(mounts.running_mounts()):
        yield f"mount{number}/status.json", json.dumps(ask(running), indent=1)
        log_path = logs.log_path(Path(running.cache_dir))
        if log_path.exists():
            with log_path.open("rb") as file:
                file.seek(max(0, log_path.stat().st_size - _LOG_BYTES))
                yield f"mount{number}/boxfs.log", file.read().decode(errors="replace")


def _os_release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
