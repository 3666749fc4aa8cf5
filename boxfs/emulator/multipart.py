"""multipart/form-data of uploads, read as it arrives: `attributes` first, then the bytes (box-api.md section 11.2)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

from boxfs.emulator.errors import ApiError

MAX_HEADERS = 16384
MAX_ATTRIBUTES = 1 << 20
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_NAME = re.compile(rb'name="([^"]*)"', re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """Raises 415 for another type, 400 without a boundary."""
    if not content_type.lower().startswith("multipart/"):
        raise ApiError(415, "unsupported_media_type", "Unsupported Media Type")
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise _broken()
    return (match[1] or match[2]).encode("latin-1")


async def read(
    chunks: AsyncIterator[bytes],
    boundary: bytes,
    start: Callable[[bytes], None],
    write: Callable[[bytes | memoryview], None],
) -> None:
    """Read a form of two parts.

    start: called once with the JSON of `attributes` when that part is complete; what it raises ends the reading.
    write: called with pieces of the part after it, whatever its name.  Raises 400 metadata_after_file_contents where
    bytes come first, 400 for a broken form; more parts are ignored.
    """
    delimiter = b"\r\n--" + boundary
    buffer = b"\r\n"
    part = -1  # which part we are in; -1: before the first
    inside = False  # past the part's headers
    attributes = bytearray()
    have_attributes = False

    def take(piece: bytes | memoryview) -> None:
        if part == 0:
            attributes.extend(piece)
            if len(attributes) > MAX_ATTRIBUTES:
                raise _broken()
        elif part == 1:
            write(piece)

    async for chunk in chunks:
        buffer = buffer + chunk if buffer else chunk
        while True:
            if not inside and part >= 0:
                end = buffer.find(b"\r\n\r\n")
                if end < 0:
                    if len(buffer) > MAX_HEADERS:
                        raise _broken()
                    break
                headers, buffer = buffer[: end + 2], buffer[end + 4 :]
                name = _NAME.search(headers)
                if part == 0 and (name is None or name[1] != b"attributes"):
                    raise ApiError(400, "metadata_after_file_contents", "Metadata must come before the file contents")
                inside = True
            at = buffer.find(delimiter)
            if at < 0:
                keep = len(delimiter) - 1
                if inside and len(buffer) > keep:
                    take(memoryview(buffer)[: len(buffer) - keep])
                    buffer = buffer[len(buffer) - keep :]
                break
            tail = buffer[at + len(delimiter) : at + len(delimiter) + 2]
            if len(tail) < 2:
                if inside and at:
                    take(memoryview(buffer)[:at])
                    buffer = buffer[at:]
                break
            if inside and at:
                take(memoryview(buffer)[:at])
            if part == 0:
                have_attributes = True
                start(bytes(attributes))
            buffer = buffer[at + len(delimiter) :]
            if tail == b"--":
                if not have_attributes or part < 1:
                    raise _broken()
                async for _rest in chunks:
                    pass
                return
            buffer = buffer[2:]
            part, inside = part + 1, False
    raise _broken()


def _broken() -> ApiError:
    return ApiError(400, "bad_request", "The multipart body is not complete")
