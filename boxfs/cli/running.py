"""The life of one mount: check, take the cache folder, ask Box, build, serve (`process.py`), close."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
from collections.abc import Callable

import click

from boxfs.base.ending import Ending, leave
from boxfs.base.errors import FsError
from boxfs.base.option import OptionError
from boxfs.cli import logs
from boxfs.cli.background import START_TIMEOUT_S
from boxfs.cli.cachefolder import PATIENCE_S, CacheFolder
from boxfs.cli.exits import CliError, Exit, exit_code_of
from boxfs.cli.mount import Request
from boxfs.cli.preflight import check_fuse, check_mountpoint, check_others_allowed
from boxfs.cli.ready import Parent, Systemd

log = logging.getLogger("boxfs.mount")

MOST_FILES = 65536  # open at once: blocks of the cache, edited files, connections; as the systemd units have it


def run_mount(request: Request) -> int:
    """Mount in this process and stay until it is unmounted.  Raises CliError with the reason why it cannot."""
    parent, systemd = Parent(os.environ), Systemd(os.environ)
    gc.disable()  # until all is loaded (wiring.spare_the_collector): nothing of it is garbage
    try:
        with contextlib.ExitStack() as cleanup:
            check_fuse()
            check_others_allowed(request.options)
            check_mountpoint(request.mountpoint, nonempty=request.options.nonempty)
            _allow_many_files()
            if parent.waits:
                os.chdir("/")  # keeps no other file system busy
            cache = CacheFolder(request.cache_dir, str(request.mountpoint), _waiting(parent, systemd))
            cleanup.callback(cache.close)
            options = request.options
            as_json = options.log_format == "json"
            logs.start_logging(cache.path, options.log_level, to_stderr=not parent.waits, as_json=as_json)
            cleanup.callback(logs.stop_logging)
            # In this order: the questions of the start are on their way while the other half of boxfs is imported.
            from boxfs.cli.begin import Beginning

            beginning = Beginning(request, cache.path)
            from boxfs.cli.process import MountProcess
            from boxfs.cli.wiring import build

            ending = Ending(lambda: leave(Exit.INTERNAL), logs.log_path(cache.path))
            cleanup.callback(ending.over)
            drive = build(request, cache.path, beginning)
            cleanup.callback(drive.close)
            code = MountProcess(request, drive, parent, systemd, ending, cache.say).run()
        # All is closed.  Python would still take itself apart, object by object, and wait for threads left behind.
        leave(code)
    except (CliError, OptionError, FsError) as error:
        code = error.code if isinstance(error, CliError) else _code(error)
        log.error("cannot mount: %s", error)
        parent.tell(error=str(error), code=code)
        raise CliError(str(error), code) from error
    except Exception as error:
        log.exception("the mount failed")
        parent.tell(error=f"internal error: {type(error).__name__}: {error}", code=Exit.INTERNAL)
        raise


def _allow_many_files() -> None:
    """Shells give 1,024, which a mount with many edited files comes to; as many as we may, without a word if fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _waiting(parent: Parent, systemd: Systemd) -> Callable[[str], None]:
    """Return what tells whoever started us that we wait."""

    def tell(line: str) -> None:
        if parent.waits:
            parent.progress(line)
        else:
            click.echo(f"boxfs: {line}", err=True)
        systemd.notify(STATUS=line)
        systemd.extend(PATIENCE_S + START_TIMEOUT_S)

    return tell


def _code(error: Exception) -> int:
    return exit_code_of(error) if isinstance(error, FsError) else Exit.USAGE
