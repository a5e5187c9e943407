"""A compile worker: ``python -m mlc.codegen.worker`` turns IR text into object bytes until its input ends.

The protocol is length-prefixed frames on standard input and output, little-endian:

    request   u32 n, n bytes of UTF-8: triple NUL cpu NUL features NUL abi NUL relocation NUL IR text
    reply     u8 status (0 object, 1 error), u32 n, n bytes: the object, or LLVM's message in UTF-8

LLVM aborts the process on what it can't select; the parent sees the pipe close. The worker ends when its
parent does, because its standard input closes then.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import astuple, fields
from typing import BinaryIO

from mlc.codegen.llvm import LlvmError, Machine, emit_object, initialize

LENGTH = struct.Struct("<I")
REPLY = struct.Struct("<BI")
OK, ERROR = 0, 1


def encode_request(machine: Machine, ir: str) -> bytes:
    """One request frame."""
    body = "\0".join((*astuple(machine), ir)).encode()
    return LENGTH.pack(len(body)) + body


def _answer(body: bytes) -> tuple[int, bytes]:
    *machine, ir = body.decode().split("\0", len(fields(Machine)))
    try:
        return OK, emit_object(Machine(*machine), ir)
    except LlvmError as error:
        return ERROR, str(error).encode()


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer frames until ``requests`` ends."""
    while len(header := requests.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(header)
        body = requests.read(length)
        if len(body) < length:
            return
        status, payload = _answer(body)
        replies.write(REPLY.pack(status, len(payload)))
        replies.write(payload)
        replies.flush()


def main() -> None:
    """Serve the real pipes; anything that prints to standard output goes to standard error instead."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    initialize()
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
