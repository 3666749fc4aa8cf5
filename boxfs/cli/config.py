"""boxfs config [MOUNTPOINT]: every option, its value, and where that came from."""

from __future__ import annotations

import json

import click

from boxfs.base.config import Settings, table
from boxfs.cli import completing, places, settings
from boxfs.cli.exits import Exit
from boxfs.cli.remote import DEFAULT_ACCOUNT, parse_remote


def told(found: Settings) -> list[dict[str, str]]:
    """Return name, value (a secret masked) and origin of each option."""
    return [
        {"name": name, "value": info.show(getattr(found.options, name)), "origin": found.origins[name]}
        for name, info in table().items()
    ]


@click.command("config", short_help="Every option, its value, and where that came from.")
@click.argument("mountpoint", required=False, shell_complete=completing.folder)
@click.option("-o", "--options", "words", multiple=True, metavar="LIST", help="Options as for boxfs mount.")
@click.option("--changed", is_flag=True, help="Only what is not the default.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(mountpoint: str | None, words: tuple[str, ...], changed: bool, as_json: bool) -> int:
    """Show the options that a mount at MOUNTPOINT (any, without it) would have."""
    place = places.settled(mountpoint) if mountpoint is not None else None
    remote = settings.remote_of_mountpoint(place) if place is not None else None
    account = parse_remote(remote).account if remote is not None else DEFAULT_ACCOUNT
    rows = [one for one in told(settings.gather(account, place, words)) if not changed or one["origin"] != "default"]
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in places.config_files()], "options": rows}, indent=2))
        return Exit.OK
    for path in places.config_files():
        click.echo(f"# {path}{'' if path.exists() else ' (not there)'}")
    for row in rows:
        click.echo(f"{row['name']:<20} {row['value']:<28} {row['origin']}")
    return Exit.OK
