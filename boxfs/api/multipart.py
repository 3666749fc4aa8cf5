"""multipart/form-data with the bytes streamed, in the one order that Box takes: `attributes`, then the bytes.

(box-api.md section 11: bytes first is 400 `metadata_after_file_contents`.)
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from boxfs.api.http import Body
from boxfs.base.errors import InvalidArgument


class Multipart:
    """A Body of two parts.  content_type: the header that goes with it."""

    def __init__(self, attributes: Mapping[str, Any], content: Body) -> None:
        boundary = f"boxfs-{secrets.token_hex(16)}"
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="attributes"\r\n'
            "Content-Type: application/json\r\n\r\n"
            f"{json.dumps(attributes)}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._content = content
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.size = len(self._head) + content.size + len(self._tail)

    def open(self) -> BinaryIO:
        return cast(BinaryIO, _Chain(self._head, self._content, self._tail))


class _Chain(io.RawIOBase):
    """Head, content and tail as one stream.  Content that is longer or shorter than it said is refused."""

    def __init__(self, head: bytes, content: Body, tail: bytes) -> None:
        self._stream = content.open()
        self._left = content.size
        self._head = io.BytesIO(head)
        self._tail = io.BytesIO(tail)

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = 1 << 62
        if data := self._head.read(size):
            return data
        if self._left:
            data = self._stream.read(min(size, self._left))
            if not data:
                raise InvalidArgument("the file to upload became shorter while it was read")
            self._left -= len(data)
            return data
        return self._tail.read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()
