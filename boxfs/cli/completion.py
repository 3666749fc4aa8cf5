"""boxfs completion SHELL: what a shell sources to complete commands and options (made by click)."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from boxfs.cli.main import cli


@click.command("completion", short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of SHELL: `source <(boxfs completion bash)`."""
    maker = get_completion_class(shell)
    assert maker is not None
    click.echo(maker(cli, {}, "boxfs", "_BOXFS_COMPLETE").source())
    return 0
