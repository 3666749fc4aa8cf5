"""Registry: JSON into the dataclasses of `models`, or into the user's subclasses of them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from boxfs.api import models, wire
from boxfs.api.models import Resource

R = TypeVar("R", bound=Resource)
Convert = Callable[[Any, "Registry"], Any]

STANDARD: Mapping[str, type[Resource]] = {
    "file": models.File,
    "folder": models.Folder,
    "web_link": models.WebLink,
    "user": models.User,
    "group": models.Group,
    "group_membership": models.GroupMembership,
    "file_version": models.FileVersion,
    "collaboration": models.Collaboration,
    "comment": models.Comment,
    "collection": models.Collection,
    "event": models.Event,
    "lock": models.Lock,
    "folder_lock": models.FolderLock,
    "webhook": models.Webhook,
    "task": models.Task,
}


class Registry:
    """Which class stands for which of Box's types."""

    def __init__(self, classes: Mapping[str, type[Resource]] = STANDARD) -> None:
        self._classes = dict(classes)

    def register(self, type_name: str, cls: type[Resource]) -> None:
        """Let objects of that type come as `cls`.  Raises TypeError where it is no subclass of what stands there."""
        standard = STANDARD.get(type_name, Resource)
        if not issubclass(cls, standard):
            raise TypeError(f"{cls.__name__} must be a subclass of {standard.__name__} to stand for {type_name}")
        self._classes[type_name] = cls

    def copy(self) -> Registry:
        return Registry(self._classes)

    def build(self, reply: Mapping[str, Any], expected: type[R]) -> R:
        """Return the object, of the class of its type where that is an `expected`, else an `expected`."""
        cls = self._classes.get(str(reply.get("type")), expected)
        if not issubclass(cls, expected):
            cls = expected
        values = {name: convert(reply.get(name), self) for name, convert in _plan(cast(Any, cls)).items()}
        return cls(raw=reply, **values)

    def each(self, replies: Iterable[Mapping[str, Any]], expected: type[R]) -> Iterator[R]:
        for reply in replies:
            yield self.build(reply, expected)


@cache
def _plan(cls: type[Resource]) -> dict[str, Convert]:
    hints = get_type_hints(cls)
    plan = {each.name: _converter(hints[each.name]) for each in fields(cls) if each.init and each.name != "raw"}
    return {**plan, "type": _plain_text, "id": _plain_text}


def _converter(hint: Any) -> Convert:
    """Return what makes a value of the annotation from what Box sent; None where that is nothing of the kind."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        [inner] = [each for each in get_args(hint) if each is not type(None)]
        return _converter(inner)
    if origin is tuple:
        return partial(_tuple, _converter(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, Resource):
        return partial(_nested, hint)
    return _SIMPLE.get(hint, _SIMPLE[Any] if origin is None else _mapping)


def _tuple(inner: Convert, value: Any, registry: Registry) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(converted for converted in (inner(each, registry) for each in value) if converted is not None)


def _nested(cls: type[Resource], value: Any, registry: Registry) -> Resource | None:
    return registry.build(value, cls) if isinstance(value, Mapping) else None


def _mapping(value: Any, _: Registry) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


def _text(value: Any, _: Registry) -> str | None:
    # "" is a value here (an empty description), unlike in wire.text.
    return "" if value == "" else wire.text(value)


def _plain_text(value: Any, registry: Registry) -> str:
    return _text(value, registry) or ""


def _time(value: Any, _: Registry) -> datetime | None:
    return wire.time(value)


_SIMPLE: dict[Any, Convert] = {
    str: _text,
    int: lambda value, _: wire.integer(value),
    float: lambda value, _: wire.number(value),
    bool: lambda value, _: wire.flag(value),
    datetime: _time,
    Any: lambda value, _: value,
}
