"""boxfs: finds the command, runs it, and ends with one clear line and a code where it cannot.

Commands live in one file each and are imported when they are called, so `boxfs --help` and `boxfs status` are quick.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from typing import NoReturn

import click

from boxfs import __version__
from boxfs.base.errors import FsError
from boxfs.base.option import OptionError
from boxfs.cli.exits import CliError, Exit, exit_code_of
from boxfs.cli.secrets import hide_secrets

# name: (module, or module:attribute; one line for the list of commands)
COMMANDS: dict[str, tuple[str, str]] = {
    "mount": ("mount", "Mount a Box folder."),
    "umount": ("umount", "Wait for the uploads, then unmount."),
    "status": ("status", "What every mount is doing."),
    "sync": ("sync", "Wait until everything is at Box."),
    "login": ("login", "Log in to a Box account."),
    "logout": ("login:logout", "End a login and forget it."),
    "whoami": ("login:whoami", "Whose account it is."),
    "accounts": ("login:list_accounts", "The accounts that are logged in."),
    "top": ("top", "Every mount, live."),
    "dashboard": ("dashboard", "A local web page with plots of every mount."),
    "metrics": ("metrics", "The numbers of all mounts, for Prometheus."),
    "log": ("log", "The log of a mount."),
    "config": ("config", "Every option, its value, and where that came from."),
    "bundle": ("bundle", "Gather what somebody who is to help needs to see."),
    "doctor": ("doctor", "Look for what keeps a mount from working."),
    "why": ("asking:why", "Everything that is known of one file or folder."),
    "retry": ("asking:retry", "Try now what could not be sent."),
    "rescue": ("asking:rescue", "Copy out what Box has not got."),
    "pin": ("asking:pin", "Keep a file or folder on this machine."),
    "unpin": ("asking:unpin", "Undo pin."),
    "evict": ("asking:evict", "Drop cached contents now."),
    "cache": ("asking:cache", "The cache of a mount."),
    "demo": ("demo", "A Box of your own, on this machine, mounted to try boxfs on."),
    "emulator": ("emulator", "Run the local Box server that the demo and the tests use."),
    "service": ("service", "Mount at every login (a systemd user unit)."),
    "completion": ("completion", "Print the completion script for a shell."),
    "man": ("man", "Print a man page, or write all of them into a folder."),
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry[0].partition(":")
        command = getattr(importlib.import_module(f"boxfs.cli.{module}"), attribute or "command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A Box account as a local drive.  `boxfs demo` shows it without an account.",
)
@click.version_option(__version__, prog_name="boxfs")
@click.pass_context
def cli(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def fail(message: str, code: int) -> NoReturn:
    click.echo(f"boxfs: {message}", err=True)
    sys.exit(code)


# What a read-only home, a full disk or another's folder answers: the machine's state, no defect of ours.
_MACHINES = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


def run(args: list[str], prog: str = "boxfs") -> int:
    """Run a command line; return its exit code.  Raises CliError with the line that a person is to see.

    `boxfs REMOTE MOUNTPOINT …` is `boxfs mount …`: so mount.fuse(8) calls the program for the type fuse.boxfs.
    """
    if args and args[0] not in COMMANDS and re.match(r"[A-Za-z0-9_.@+-]+:", args[0]):
        args = ["mount", *args]
    try:
        result = cli.main(args=args, prog_name=prog, standalone_mode=False)
    except click.UsageError as error:
        hint = f" (`{error.ctx.command_path} --help` tells more)" if error.ctx else ""
        raise CliError(error.format_message().rstrip(".") + hint, Exit.USAGE) from None
    except click.Abort:
        raise CliError("interrupted", 130) from None
    except click.ClickException as error:
        raise CliError(error.format_message(), Exit.FAILED) from None
    except OptionError as error:
        raise CliError(str(error), Exit.USAGE) from None
    except FsError as error:
        raise CliError(str(error) or type(error).__name__, exit_code_of(error)) from error
    except OSError as error:
        if error.errno not in _MACHINES or error.filename is None:
            raise
        raise CliError(f"{os.fsdecode(error.filename)}: {error.strerror}", Exit.CANNOT_CREATE) from error
    return result if isinstance(result, int) else 0


def main() -> NoReturn:
    """The `boxfs` program."""
    hide_secrets(sys.argv)
    try:
        if "_BOXFS_COMPLETE" in os.environ:  # a shell asks what could come next
            cli.main(prog_name="boxfs", complete_var="_BOXFS_COMPLETE")
        sys.exit(run(sys.argv[1:]))
    except CliError as error:
        fail(str(error), error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `boxfs status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    except Exception as error:  # a defect: one line for people, the rest for whoever mends it
        if os.environ.get("BOXFS_DEBUG"):
            raise
        fail(f"internal error: {type(error).__name__}: {error} (BOXFS_DEBUG=1 shows where)", Exit.INTERNAL)
