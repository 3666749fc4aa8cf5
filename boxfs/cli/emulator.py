"""boxfs emulator …: the local Box server, as a program of its own (`boxfs.emulator` shares no code with the rest)."""

from __future__ import annotations

import click

from boxfs.cli.exits import CliError

MISSING = "the local Box server needs more packages: pip install 'boxfs-mount[demo]'"


@click.command(
    "emulator",
    short_help="Run the local Box server that the demo and the tests use.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run the local Box server; `boxfs emulator --help` lists what it can do."""
    try:
        from boxfs.emulator.main import main
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("boxfs"):
            raise
        raise CliError(MISSING) from None
    return main(list(arguments))
