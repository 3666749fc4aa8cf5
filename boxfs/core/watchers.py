"""Watchers: several who want to hear of changes as one Watcher."""

from __future__ import annotations

from boxfs.base.types import Ino
from boxfs.core.interface import Watcher


class Watchers:
    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def content_changing(self, ino: Ino) -> None:
        for watcher in self._watchers:
            watcher.content_changing(ino)

    def content_changed(self, ino: Ino) -> None:
        for watcher in self._watchers:
            watcher.content_changed(ino)

    def attributes_changed(self, ino: Ino) -> None:
        for watcher in self._watchers:
            watcher.attributes_changed(ino)

    def entry_gone(self, parent: Ino, name: str) -> None:
        for watcher in self._watchers:
            watcher.entry_gone(parent, name)

    def entry_appeared(self, parent: Ino, name: str) -> None:
        for watcher in self._watchers:
            watcher.entry_appeared(parent, name)

    def names_changed(self, folder: Ino) -> None:
        for watcher in self._watchers:
            watcher.names_changed(folder)

    def everything_changed(self) -> None:
        for watcher in self._watchers:
            watcher.everything_changed()
