"""CoreOptions: what the core must know of the mount's options, filled by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreOptions:
    """uid, gid: of every file that says nothing else.  fmask, dmask: permission bits that files, folders lack.

    attributes: where what Box has no word for is kept: "store" in global.properties, "auto" likewise but only what a
    user means to keep (executable bits, links, xattrs; folder times stay local), "local" on this machine, "off"
    nowhere.
    case: what to do with a name that differs from another by case only: "refuse" it, or "encode" a mark at Box.
    settle_s: how long a file rests before it is sent.  fsync: "local", or "box" (fsync waits for the upload).
    sync_on_close: close waits for the upload and returns its error.
    host: names this machine in conflict copies.  boxlock: hold Box's lock while a file is open for writing.
    cached_nodes, cached_names: how much of the tree is held in memory: about 1.5 KB a node, 0.2 KB a name.
    young_s: how long after its upload a file may still hand its content to a name that it replaces.
    """

    uid: int = 0
    gid: int = 0
    fmask: int = 0o022
    dmask: int = 0o022
    read_only: bool = False
    attributes: Literal["auto", "store", "local", "off"] = "auto"
    case: Literal["refuse", "encode"] = "refuse"
    settle_s: float = 2.0
    fsync: Literal["local", "box"] = "local"
    sync_on_close: bool = False
    host: str = "localhost"
    boxlock: bool = False
    young_s: float = 120.0
    cached_nodes: int = 50_000
    cached_names: int = 150_000

    @property
    def stores_attributes(self) -> bool:
        return self.attributes in ("auto", "store")
