"""OpenContents: the bytes that wait in open files and the spool, as Sync wants them for an upload."""

from __future__ import annotations

from boxfs.base.errors import NotFound
from boxfs.base.types import Ino, ItemId, VersionId
from boxfs.core.bodies import Outgoing
from boxfs.core.openfile import Sending
from boxfs.core.openfiles import OpenFiles


class OpenContents:
    def __init__(self, files: OpenFiles) -> None:
        self._files = files

    def outgoing(self, ino: Ino) -> Outgoing | None:
        try:
            return _Outgoing(self._files.sending(ino))
        except NotFound:
            return None

    def is_writing(self, ino: Ino) -> bool:
        return self._files.has_writer(ino)

    def is_open(self, ino: Ino) -> bool:
        return self._files.is_open(ino)


class _Outgoing:
    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self.size = sending.size
        self.edit = sending.edit

    @property
    def stale(self) -> bool:
        return self._sending.stale

    @stale.setter
    def stale(self, value: bool) -> None:
        self._sending.stale = value

    @property
    def is_copy(self) -> bool:
        return self._sending.is_copy

    @property
    def copied_from(self) -> tuple[ItemId, VersionId] | None:
        base = self._sending.base
        return None if base is None else (base.file_id, base.version_id)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._sending.read_at(offset, size)

    def close(self) -> None:
        self._sending.close()
