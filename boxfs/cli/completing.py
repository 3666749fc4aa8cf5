"""What a shell offers after TAB: running mounts, stored accounts, mount options, folders and files.

Nothing is asked of Box or of a mount, and nothing here fails: no offer is better than an error in the prompt.
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from boxfs.base.config import table
from boxfs.cli import mounts, settings
from boxfs.cli.exits import CliError

Items = list[CompletionItem]


def _folders(incomplete: str) -> Items:
    return [CompletionItem(incomplete, type="dir")]  # first: the scripts of click forget what came before it


def folder(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    return _folders(incomplete)


def file(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    return [CompletionItem(incomplete, type="file")]


def mountpoint(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    """The places of running mounts, else folders."""
    try:
        known = [one.mountpoint for one in mounts.running_mounts()]
    except CliError:
        known = []
    return _folders(incomplete) + [CompletionItem(one) for one in known if one.startswith(incomplete)]


def _accounts() -> list[str]:
    try:
        return settings.account_names()
    except OSError:
        return []


def account(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    return [CompletionItem(name) for name in _accounts() if name.startswith(incomplete)]


def remote(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    """NAME: of the accounts; a folder too, since `boxfs mount FOLDER` may be all that is wanted."""
    names = [f"{name}:" for name in dict.fromkeys(("box", *_accounts()))]
    return _folders(incomplete) + [CompletionItem(name) for name in names if name.startswith(incomplete)]


def options(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:  # noqa: ARG001
    """The last word of a list for -o: "ro,al" -> "ro,allow_other", "ro,allow_root"."""
    before, comma, word = incomplete.rpartition(",")
    found: Items = []
    for info in table().values():
        words = [f"{info.name}={one}" for one in info.choices] or [info.name if info.type is bool else f"{info.name}="]
        help = info.help.split(". ")[0]
        found += [CompletionItem(f"{before}{comma}{one}", help=help) for one in words if one.startswith(word)]
    return found
