"""What the other commands ask of a running mount, by its control socket: why, retry, rescue, pin, unpin, evict, cache.

Paths come relative to the mount's root, "" for the root itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxfs.base.errors import NotFound
from boxfs.base.types import ROOT_INO, Ino, Kind
from boxfs.cli import logs
from boxfs.cli.control import Command, Progress
from boxfs.cli.exits import CliError, Exit
from boxfs.core.pinning import PinProgress
from boxfs.core.surroundings import version_of

if TYPE_CHECKING:
    from boxfs.cli.wiring import MountedDrive


class Served:
    def __init__(self, drive: MountedDrive) -> None:
        self._drive = drive

    def commands(self) -> Mapping[str, Command]:
        return {
            "why": self._why,
            "pending": self._pending,
            "retry": self._retry,
            "rescue": self._rescue,
            "pin": self._pin,
            "unpin": self._unpin,
            "evict": self._evict,
            "pins": self._pins,
            "clear_cache": self._clear_cache,
            "log_level": self._log_level,
        }

    # Places

    def ino_of(self, path: str) -> Ino:
        """Return the inode at a path.  Raises NotFound, NotADirectory; Unreachable for a folder not yet known."""
        ino = ROOT_INO
        for name in path.split("/") if path else ():
            ino = self._drive.files.lookup(ino, name).ino
        return ino

    # Commands

    def _why(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        """Everything that is known of one item: what the mount shows, what Box last told, what is pending, cached."""
        drive = self._drive
        path = str(args.get("path", ""))
        ino = self.ino_of(path)
        node = drive.tree.node(ino)
        if node is None:
            raise NotFound(f"{path}: it is gone")
        pending = drive.sync.describe(ino)
        told: dict[str, Any] = {
            "path": path,
            "inode": ino,
            "kind": str(node.kind),
            "size": node.size,
            "pending": None if pending is None else {**asdict(pending), "state": str(pending.state)},
            "stale": node.stale,
            "network": asdict(drive.sync.gateway.state),
            "last_event_s": _seconds(drive.sync.hearing.last_event_ns),
        }
        if node.remote is not None:
            remote = node.remote
            told["box"] = {
                "id": remote.id,
                "name": remote.name,
                "etag": remote.etag,
                "version": remote.version_id,
                "sha1": remote.sha1,
                "size": remote.size,
                "trashed": remote.trashed,
                "can_download": remote.can_download,
                "can_upload": remote.can_upload,
            }
        if node.kind is Kind.FOLDER:
            told["listed"] = node.complete
        version = version_of(node)
        if version is not None:
            told["cached_bytes"] = drive.reading.cached_bytes(version)
        return told

    def _pending(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        return [{**asdict(one), "state": str(one.state)} for one in self._drive.sync.status().pending]

    def _retry(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        path = str(args.get("path", ""))
        return {"retried": self._drive.sync.retry(self.ino_of(path) if path else None)}

    def _rescue(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        target = Path(str(args["target"]))
        inside = Path(self._drive.mountpoint)
        if target == inside or inside in target.parents:
            raise CliError("rescue to a folder outside the mount", Exit.USAGE)
        return {"files": self._drive.sync.rescue(target)}

    def _pin(self, args: Mapping[str, Any], progress: Progress) -> Any:
        """Fetch everything below the path and never evict it for room; also what comes to be there later."""
        path = str(args["path"])
        ino = self.ino_of(path)
        self._drive.pinning.pin(ino)

        def tell(now: PinProgress) -> None:
            progress({"path": path, "files": now.files_here, "bytes": now.bytes_here, "of_bytes": now.bytes})

        end = self._drive.pinning.wait(ino, tell)
        return {"files": end.files_here, "bytes": end.bytes_here, "errors": end.errors}

    def _unpin(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        ino = self.ino_of(str(args["path"]))
        files = self._drive.pinning.progress(ino).files
        self._drive.pinning.unpin(ino)
        return {"files": files}

    def _evict(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        files, size = self._drive.pinning.evict(self.ino_of(str(args["path"])))
        return {"files": files, "bytes": size}

    def _pins(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        return self._drive.pinning.pinned()

    def _clear_cache(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        freed = self._drive.blocks.clear()
        self._drive.pinning.start()  # what is pinned comes again
        return {"bytes": freed}

    def _log_level(self, args: Mapping[str, Any], progress: Progress) -> Any:  # noqa: ARG002
        logs.set_level(str(args["level"]))
        logging.getLogger("boxfs").info("the log says %s from now on", args["level"])
        return {}


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9
