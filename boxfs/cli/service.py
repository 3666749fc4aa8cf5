"""boxfs service install ACCOUNT: a systemd user unit that mounts the account at ~/Box/ACCOUNT at every login."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

from boxfs.cli import completing
from boxfs.cli.exits import CliError, Exit

UNIT = "boxfs@.service"


def unit_text(name: str) -> str:
    """Return a unit as it is shipped: in the package where it was built as a wheel, else beside it in the source."""
    package = Path(__file__).parents[1]
    for folder in (package / "_systemd", package.parent / "systemd"):
        path = folder / name
        if path.is_file():
            return path.read_text()
    raise CliError(f"{name} is not part of this installation", Exit.NO_INPUT)


def program() -> str:
    """Return the command that starts this boxfs, as ExecStart= wants it: an absolute path."""
    beside = Path(sys.argv[0])
    if beside.name == "boxfs" and beside.is_file():
        return os.path.abspath(beside)
    found = shutil.which("boxfs")
    return os.path.abspath(found) if found else f"{sys.executable} -m boxfs"


def filled(text: str, command: str) -> str:
    return re.sub(r"(?m)^(ExecStart=)/usr/bin/boxfs", lambda found: found[1] + command.replace("%", "%%"), text)


def unit_dir() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(config) / "systemd" / "user"


@click.group("service", short_help="Mount at every login (a systemd user unit).")
def command() -> None:
    """Mount an account at every login, with systemd's user manager."""


def _systemctl(*arguments: str) -> None:
    if shutil.which("systemctl") is None:
        raise CliError("systemctl is missing: this machine is not run by systemd", Exit.NO_INPUT)
    done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        raise CliError(f"systemctl --user {' '.join(arguments)}: {said}")


@command.command("install", short_help="Mount ACCOUNT now and at every login.")
@click.argument("account", default="box", shell_complete=completing.account)
@click.option("--no-start", is_flag=True, help="Write and enable it; it starts at the next login.")
@click.option("--write-only", is_flag=True, help="Write the unit, and leave systemd alone.")
def install(account: str, no_start: bool, write_only: bool) -> int:
    """Write boxfs@.service, enable it for ACCOUNT and start it: a mount at ~/Box/ACCOUNT."""
    path = unit_dir() / UNIT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(unit_text(UNIT), program()))
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}", Exit.CANNOT_CREATE) from None
    click.echo(f"wrote {path}")
    if not write_only:
        _systemctl("daemon-reload")
        _systemctl("enable", *([] if no_start else ["--now"]), f"boxfs@{account}.service")
        click.echo(f"{account}: mounted at ~/Box/{account}, now and at every login" if not no_start else "enabled")
    return 0


@command.command("remove", short_help="Undo install; what is pending is sent first.")
@click.argument("account", default="box", shell_complete=completing.account)
def remove(account: str) -> int:
    """Stop and disable the unit of ACCOUNT; what is pending is sent first."""
    _systemctl("disable", "--now", f"boxfs@{account}.service")
    return 0
