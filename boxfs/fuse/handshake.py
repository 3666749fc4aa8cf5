"""The first request, INIT, answered with one capability that libfuse before 3.17 does not know: HANDLE_KILLPRIV_V2.

Without it the kernel asks for security.capability before every single write, where extended attributes are answered at
all.  With it, once for an inode; that changed content loses set-user-id is then seen to by operations.py.

libfuse makes the answer, into a pipe that stands for a moment where its descriptor was; the flag is added on the way.
Nothing else can come meanwhile: the kernel sends nothing before INIT is answered, and no worker runs yet.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

from boxfs.fuse.library import Library

_INIT = 26
_KILLPRIV_V2 = 1 << 28
# linux/fuse.h: the opcode of a request; the flags of struct fuse_init_in behind struct fuse_in_header, and of struct
# fuse_init_out behind struct fuse_out_header
_OPCODE_AT, _OFFERED_AT, _WANTED_AT = 4, 40 + 12, 16 + 12
_FLAGS = struct.Struct("=I")


def needed(library: Library) -> bool:
    return library.version < (3, 17)


def answer_init(library: Library, session: int) -> bool:
    """Answer the first request; return whether the kernel has heard of the capability."""
    request = library.layouts.fuse_buf()
    if library.session_receive_buf(session, ctypes.byref(request)) <= 0:
        return False  # the workers' own look will say what is wrong
    try:
        return _answer(library, session, request)
    finally:
        library.free(request.mem)


def _answer(library: Library, session: int, request: Any) -> bool:
    head = ctypes.string_at(request.mem, request.size)
    offered = _FLAGS.unpack_from(head, _OFFERED_AT)[0] if request.size >= _OFFERED_AT + _FLAGS.size else 0
    if _FLAGS.unpack_from(head, _OPCODE_AT)[0] != _INIT or not offered & _KILLPRIV_V2:
        library.session_process_buf(session, ctypes.byref(request))
        return False
    device = library.session_fd(session)
    kept = os.dup(device)
    out, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.dup2(into, device, inheritable=False)
        try:
            library.session_process_buf(session, ctypes.byref(request))
        finally:
            os.dup2(kept, device, inheritable=False)
        answer = bytearray(os.read(out, 4096))
        told = struct.unpack_from("=Ii", answer) == (len(answer), 0) and len(answer) >= _WANTED_AT + _FLAGS.size
        if told:
            wanted = _FLAGS.unpack_from(answer, _WANTED_AT)[0]
            _FLAGS.pack_into(answer, _WANTED_AT, wanted | _KILLPRIV_V2)
        os.write(device, answer)
        return told
    finally:
        for descriptor in (kept, out, into):
            os.close(descriptor)
