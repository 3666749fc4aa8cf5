"""boxfs demo [MOUNTPOINT]: a Box server on this machine, filled with samples, mounted, until Ctrl-C."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from boxfs.cli import completing, mounts, places
from boxfs.cli.emulator import MISSING
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.preflight import check_fuse, check_mountpoint
from boxfs.cli.umount import stop
from boxfs.fuse.mountpoint import mounted_at

# The emulator knows this one from the start; it is no secret, since the server listens on this machine only.
DEMO_TOKEN = "dev-token"
_READY = "boxfs emulator ready: "
_PR_SET_PDEATHSIG = 1
_END_TIMEOUT_S = 60.0

_GONE = "its mount has ended; what it had not sent yet is kept"
_TRY = """\
Try, in another terminal:
  ls -lR {place}
  cp {place}/Pictures/*.jpg /tmp/ && echo "mine" > {place}/Documents/mine.txt
  rsync -a /etc/apt/ {place}/apt/ && rsync -ai /etc/apt/ {place}/apt/
  git init -q {place}/repo && git -C {place}/repo fsck
  vim {place}/README.md
  {program} status {place}
Ctrl-C here sends what is pending and ends it; starting it again finds everything as it was."""


@click.command("demo", short_help="A Box of your own, on this machine, mounted to try boxfs on.")
@click.argument("mountpoint", default="./box", shell_complete=completing.folder)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keeps the server's files and the mount's state.")
def command(mountpoint: str, data_dir: Path | None) -> int:
    """Mount a local Box server with sample content at MOUNTPOINT (./box) and stay; Ctrl-C ends it."""
    try:
        import PIL  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError:
        raise CliError(MISSING) from None
    place = places.settled(mountpoint)
    data = Path(os.path.abspath(data_dir or places.state_dir() / "demo"))
    check_fuse()
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if mounted_at(str(place)) is None:
            place.mkdir(exist_ok=True)
    except OSError as error:
        raise CliError(f"cannot make {error.filename}: {error.strerror}", Exit.CANNOT_CREATE) from None
    check_mountpoint(place, nonempty=False)

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as cleanup:
        url = cleanup.enter_context(_server(data / "server"))
        click.echo(f"boxfs demo: a Box server of your own runs at {url}", err=True)
        _fill(url, data)
        child = cleanup.enter_context(_mount(url, place, data / "mount", ended))
        if not ended.is_set():
            click.echo(f"boxfs demo: it is mounted at {place}\n", err=True)
            click.echo(_TRY.format(place=_short(place), program=_program()), err=True)
        ended.wait()
        gone = child.poll() is not None
        click.echo(f"\nboxfs demo: {_GONE if gone else 'sending what is pending, unmounting …'}", err=True)
    click.echo("boxfs demo: ended; starting it again finds everything as it is now", err=True)
    return Exit.OK


def _short(place: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(place.relative_to(os.getcwd()))
    return str(place)


def _program() -> str:
    """Return how this program was called, so that what we print can be copied."""
    return "python -m boxfs" if sys.argv[0].endswith("__main__.py") else _short(Path(os.path.abspath(sys.argv[0])))


def _fill(url: str, data: Path) -> None:
    from boxfs.api.auth import StaticToken
    from boxfs.api.drive import BoxDrive
    from boxfs.cli.demo_fill import fill

    box = BoxDrive(StaticToken(DEMO_TOKEN), api_url=url)
    try:
        fill(box, data / "filled", lambda text: click.echo(f"boxfs demo: {text}", err=True))
    finally:
        box.close()


def _die_with_us() -> None:
    """In the child: end when the demo is killed, so that nothing of it stays behind.  Source: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def _server(data: Path) -> Iterator[str]:
    """Run the emulator; yield its URL."""
    # A session of its own: Ctrl-C is for the demo, which ends its children in the right order.
    child = subprocess.Popen(
        [sys.executable, "-m", "boxfs", "emulator", "--data", str(data)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_die_with_us,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line.startswith(_READY):
            raise CliError("the Box server of the demo did not start; it says why above", Exit.UNAVAILABLE)
        yield line.removeprefix(_READY).strip()
    finally:
        _end(child)


@contextlib.contextmanager
def _mount(url: str, place: Path, cache_dir: Path, ended: threading.Event) -> Iterator[subprocess.Popen[bytes]]:
    """Run the mount; at the end drain it with progress, then unmount.  One that was killed leaves a free place."""
    read_end, write_end = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "boxfs", "mount", "--foreground", "--cache-dir", str(cache_dir), "box:", str(place)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "BOXFS_API_URL": url, "BOXFS_UPLOAD_URL": "", "BOXFS_TOKEN": DEMO_TOKEN,
             "BOXFS_READY_FD": str(write_end)},
        pass_fds=(write_end,),
        start_new_session=True,
        preexec_fn=_die_with_us,
    )  # fmt: skip
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb") as pipe:
            line = pipe.readline()
        if b'"ready"' not in line:
            child.wait()
            import json

            raise CliError(json.loads(line)["error"] if line else "the mount did not start", Exit.FAILED)
        threading.Thread(target=_tell_end, args=(child, ended), daemon=True).start()
        yield child
        running = next((one for one in mounts.running_mounts() if one.pid == child.pid), None)
        if running is not None and child.poll() is None:
            try:
                stop(running, None, lazy=False, quiet=False)
            except CliError as error:
                click.echo(f"boxfs demo: {error}: files that are open go on until they are closed", err=True)
    finally:
        _end(child)
        with contextlib.suppress(CliError):
            check_mountpoint(place, nonempty=True)


def _tell_end(child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    child.wait()
    ended.set()


def _end(child: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
