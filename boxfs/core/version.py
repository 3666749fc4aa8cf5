"""FileVersion: which bytes are meant, whatever the file's name is and whoever saves a new version meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from boxfs.base.types import ItemId, VersionId
from boxfs.store.blocks import content_key


@dataclass(frozen=True, slots=True)
class FileVersion:
    """sha1: hex, None where it is not known (then nothing is checked or shared)."""

    file_id: ItemId
    version_id: VersionId
    size: int
    sha1: str | None

    @property
    def key(self) -> str:
        return content_key(self.version_id, self.sha1, self.size)
