"""The process of one mount: tells that it is ready, serves, drains, closes.

The main thread serves until the mount is gone.  It goes by `boxfs umount` (drain first, then unmount), by SIGTERM or
SIGINT (the session detaches it at once, so that nothing new begins, then drain) or by somebody's fusermount3 -u (then
drain).
Draining is bounded by drain_timeout; what is left is journalled and sent by the next mount.  A second signal ends the
waiting.  SIGHUP reads the configuration again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from boxfs.base.ending import Ending
from boxfs.base.option import OptionError
from boxfs.cli import mounts, places, settings
from boxfs.cli.cachefolder import ENDING, MOUNTED
from boxfs.cli.control import Command, ControlServer, Progress
from boxfs.cli.exits import CliError
from boxfs.cli.mount import Request
from boxfs.cli.progress import uploads_left
from boxfs.cli.ready import Parent, Systemd
from boxfs.fuse.session import GRACE_S, Hooks

if TYPE_CHECKING:
    from boxfs.cli import notifying, watching

log = logging.getLogger("boxfs.mount")

STOP_PROBE_S = 3.0  # an end tries a Box that is known to be out of reach once more, so long
END_S = 30.0  # an end takes no longer, beside the uploads; docs/OPERATIONS.md promises half of it


class Drive(Protocol):
    """The file system and its kernel session, as `wiring.build` puts them together."""

    def serve(self, hooks: Hooks) -> int:
        """Mount, answer the kernel, tell by `hooks` what happens; return when all is over."""

    def detach(self) -> None:
        """Unmount lazily from any thread: no new opens; `serve` returns when the last open file is closed."""

    def unmounted(self) -> None:
        """The mount is off its place, and nobody here uses it: `serve` is to return soon."""

    def status(self) -> dict[str, Any]:
        """What `boxfs status --json` shows; `pending` has items, bytes, failed."""

    def send(
        self,
        path: str,
        timeout_s: float | None,
        tell: Callable[[Mapping[str, Any]], None],
        stopped: Callable[[], bool] = lambda: False,
        probe_s: float = 10.0,
    ) -> dict[str, Any]:
        """Send what is pending below `path` now; return {"pending": …, "problems": [{"path", "error"}], "why": …}.

        probe_s: how long a Box that is known to be out of reach is tried once more.
        """

    def commands(self) -> Mapping[str, Command]:
        """Further commands of the control socket."""

    def apply(self, request: Request) -> None:
        """Take over the options that may change in a running mount."""

    def close(self) -> None: ...


class MountProcess:
    """Owns the signals, the control socket and the order of the end."""

    def __init__(
        self,
        request: Request,
        drive: Drive,
        parent: Parent,
        systemd: Systemd,
        ending: Ending,
        say: Callable[[str], None] = lambda _state: None,
    ) -> None:
        """say: tells who would like to have the cache folder how far the mount is."""
        self._request = request
        self._drive = drive
        self._parent = parent
        self._systemd = systemd
        self._ending = ending
        self._say = say
        self._started = time.time()
        self._signals = 0
        self._hurry = threading.Event()  # a second signal, or `boxfs umount --no-wait`: do not drain any longer
        self._unmounted = threading.Event()  # commands under way are not waited for
        self._drained = False  # `boxfs umount` has waited for uploads: the end does not do so again

        commands: dict[str, Command] = {
            "status": self._status,
            "sync": self._sync,
            "stop": self._stop,
            "hurry": self._leave_the_rest,
        }
        socket = mounts.socket_path(request.mountpoint)
        self._control = ControlServer(socket, {**drive.commands(), **commands})
        self._watching: watching.Watching | None = None
        self._notifying: notifying.Notifying | None = None
        self._read = self._stamps()  # what may change before it is watched
        self._running = mounts.Running(
            mountpoint=str(request.mountpoint),
            remote=str(request.remote),
            pid=os.getpid(),
            cache_dir=str(request.cache_dir),
            socket=str(socket),
            started=self._started,
        )

    def run(self) -> int:
        self._control.start()
        mounts.register(self._running)
        hooks = Hooks(
            on_ready=self._on_ready,
            on_signal=self._on_signal,
            on_hangup=self._on_hangup,
            on_unmounted=self._drain_at_end,
        )
        try:
            code = self._drive.serve(hooks)
        finally:
            self._ending.phase("closing")
            self._unmounted.set()
            # The record first: a status asked from here on finds no mount, rather than one that does not answer.
            with contextlib.suppress(OSError):
                mounts.forget(self._running)
            for each in (self._watching, self._notifying, self._systemd):
                if each is not None:
                    each.close()
            self._control.close()
        log.info("unmounted %s", self._request.mountpoint)
        return code

    def _watched(self) -> list[Path]:
        """Files whose change means a new configuration or new credentials."""
        files = places.config_files()
        files += [settings.accounts_folder() / f"{self._request.remote.account}{end}" for end in (".json", ".tokens")]
        return files + ([self._request.options.token_file] if self._request.options.token_file else [])

    def _stamps(self) -> list[tuple[int, int] | None]:
        """Return what tells whether the watched files have changed."""
        return [_stamp(path) for path in self._watched()]

    def _on_ready(self) -> None:
        where = f"{self._request.remote} at {self._request.mountpoint}"
        log.info("mounted %s", where)
        self._say(MOUNTED)
        if not self._parent.waits:
            click.echo(f"boxfs: mounted {where}", err=True)
        else:
            # From here on no Ctrl-C and no closed terminal of the parent's is ours; not before: see background.py.
            with contextlib.suppress(PermissionError):  # whoever started us has seen to that
                os.setsid()
        self._parent.tell(ready=str(self._request.mountpoint))
        self._systemd.ready(f"mounted {where}")
        self._systemd.start_watchdog(self._healthy)
        self._look_after()

    def _look_after(self) -> None:
        """What nobody waits for is imported and started when the mount is ready."""
        from boxfs.cli.watching import Watching

        self._watching = Watching(self._watched(), lambda _path: self.reload())
        self._watching.start()
        if self._stamps() != self._read:
            self.reload()
        if self._request.options.notify:
            from boxfs.cli.notifying import Notifying

            self._notifying = Notifying(self._drive.status)
            self._notifying.start()

    def _healthy(self) -> bool:
        try:
            self._drive.status()
        except Exception:
            log.exception("the mount is not well")
            return False
        return True

    # Signals.  They are heard in a thread of their own, which nothing here may hold up.

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            self._hurry.set()
            return
        self._ending.phase("files that are still open", GRACE_S, first=True)
        why = f"{signal.Signals(number).name}: unmounting"
        threading.Thread(target=self._say_stopping, args=(why,), name="stopping", daemon=True).start()

    def _say_stopping(self, why: str) -> None:
        log.info("%s", why)
        self._systemd.stopping(why)

    def _on_hangup(self) -> None:
        threading.Thread(target=self.reload, name="reload", daemon=True).start()

    def reload(self) -> None:
        """Read the configuration again and take over what may change in a running mount."""
        log.info("the configuration is read again")
        try:
            self._request = self._request.again()
            self._drive.apply(self._request)
        except (CliError, OptionError) as error:
            log.warning("the configuration stays as it was: %s", error)

    # The end

    def _drain_at_end(self) -> None:
        self._say(ENDING)
        self._systemd.stopping("sending what is pending")
        timeout_s = 0.0 if self._hurry.is_set() or self._drained else self._request.options.drain_timeout
        self._ending.phase("uploads", timeout_s)
        self._systemd.extend(timeout_s + END_S)
        said = ""

        def tell(pending: Mapping[str, Any]) -> None:
            nonlocal said
            text = uploads_left(pending)
            if text != said:
                said = text
                log.info("%s", text)
                self._systemd.notify(STATUS=text)

        left = self._drive.send("", timeout_s, tell, self._hurry.is_set, probe_s=STOP_PROBE_S).get("pending", {})
        if left.get("items"):
            log.warning("%s: kept in %s, sent by the next mount", uploads_left(left), self._request.cache_dir)

    # Commands of the control socket

    def _status(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        return {"started": self._started, **self._drive.status()}

    def _sync(self, args: Mapping[str, Any], progress: Progress) -> Any:
        return self._drive.send(str(args.get("path", "")), args.get("timeout_s"), progress, self._unmounted.is_set)

    def _leave_the_rest(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        """Another mount waits for the cache folder, and will send what is pending."""
        log.info("another mount waits for %s: it sends what is left", self._request.cache_dir)
        self._hurry.set()

    def _stop(self, args: Mapping[str, Any], progress: Progress) -> Any:
        timeout_s = args.get("timeout_s")
        if timeout_s is None:
            timeout_s = self._request.options.drain_timeout
        if timeout_s > 0:
            left = self._drive.send("", timeout_s, progress, probe_s=STOP_PROBE_S).get("pending", {})
        else:
            left = self._drive.status().get("pending", {})
        if left.get("items"):
            self._drained = True  # and whoever asked is told what is left
        if args.get("lazy"):
            self._drive.detach()
            self._ending.phase("files that are still open", GRACE_S, first=True)
            return {"pending": left}
        refused = mounts.unmount(self._request.mountpoint)
        if refused is not None:
            self._drained = False
            raise CliError(f"cannot unmount {self._request.mountpoint}: {refused}{_users(self._running)}")
        self._ending.phase("the last requests", GRACE_S, first=True)
        self._drive.unmounted()
        return {"pending": left}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _users(running: mounts.Running) -> str:
    """Name a few processes that keep the mount busy, as far as we may see them."""
    found: list[str] = []
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            links = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
            if any(_inside(os.readlink(link), running.mountpoint) for link in links):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    found.append(f"{file.read().strip()} ({pid})")
    return f"; in use by {', '.join(found[:5])}" if found else ""


def _inside(path: str, mountpoint: str) -> bool:
    return path == mountpoint or path.startswith(f"{mountpoint}/")
