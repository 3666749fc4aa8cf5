"""Home: a mount's state folder as the command line lays it out, opened without FUSE and without threads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxfs.core.filesystem import FileSystem
from boxfs.core.options import CoreOptions
from boxfs.core.outgoing import OpenContents
from boxfs.core.reading import Reading
from boxfs.core.sync import Sync
from boxfs.core.tree import Tree
from boxfs.store.blocks import Blocks
from boxfs.store.records import Records
from boxfs.store.spool import Spool
from tests.support.drive import Drive, Later, PlainReading
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Clock


class Home(Drive):
    """settings: "cache": the limit of the block cache, none where it is not given; "checkpoint": pages of SQLite's log;
    "chunked_from": bytes from which on an upload goes in parts (of 1,000 bytes, which MemoryRemote asks for).
    """

    def __init__(self, folder: Path, remote: MemoryRemote, clock: Clock, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.remote = remote
        self.clock = clock
        self.options = CoreOptions(host="here", attributes=settings.get("attributes", "auto"))
        self.blocks: Blocks | None = None
        records = Records(folder / "state")
        if "checkpoint" in settings:
            records._db.execute(f"PRAGMA wal_autocheckpoint = {settings['checkpoint']}")
        self.tree = Tree(records, self.options, clock=clock)
        self.spool = Spool(folder / "spool")
        self.reading = PlainReading(remote)
        opens: Any = self.reading
        if "cache" in settings:
            self.blocks = Blocks(folder / "blocks", settings["cache"])
            opens = self.cached = Reading(remote, self.blocks)
        lists = Later()
        self.fs = FileSystem(self.tree, self.spool, opens, lists, remote.account)
        self.sync = Sync(self.tree, remote, OpenContents(self.fs.files))
        self.sync.hearing._gap_s = 0.0
        if "chunked_from" in settings:
            self.sync.sending.making.uploading._chunked_from = settings["chunked_from"]
        self.fs.is_uploading = self.sync.incoming.memory.busy.__contains__
        self.incoming = lists.incoming = self.sync.incoming

    def close(self) -> None:
        super().close()
        self._close_cache()

    def crash(self) -> None:
        """Give descriptors back; nothing more is to be found in the folder."""
        super().crash()
        self._close_cache()

    def _close_cache(self) -> None:
        if self.blocks is not None:
            self.cached.close()
            self.blocks.close()
