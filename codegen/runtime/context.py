"""The memory layout of NAME_ctx, of a call's frame and of a weights file: byte offsets shared by all who
touch them.

Pointers take 8 bytes everywhere, so a layout does not depend on the target. What one thread writes while
others spin on something else lies in a cache line of its own.
"""

from __future__ import annotations

from struct import Struct

ABI_VERSION = 1
CACHE_LINE = 64
MAX_THREADS = 256

# NAME_ctx: set once by NAME_init
WEIGHTS = 0
"""ptr: the weights' first byte."""
THREADS = 8
"""i32: threads that run a call, the caller included."""
SPINS = 12
"""i32: pauses before a waiting thread sleeps."""

LEVEL = 16
"""i32: the version that was chosen, where there are several."""

# NAME_ctx: changing
LOCK = 1 * CACHE_LINE
"""i32: 1 while a call uses the pool."""
STARTED = LOCK + 4
"""i32: workers that have taken their number."""
STOP = LOCK + 8
"""i32: 1 tells woken workers to end."""
JOB = LOCK + 16
"""ptr: the frame that the workers run."""
FORK = 2 * CACHE_LINE
BARRIER = 3 * CACHE_LINE
DONE = 4 * CACHE_LINE
"""Events: i32 count, i32 sleepers."""
HANDLES = 5 * CACHE_LINE
"""pthread_t of each worker."""
CONTEXT_BYTES = HANDLES + 8 * MAX_THREADS

# The frame of one call, as NAME_run_frame takes it; every entry is a pointer in 8 bytes
FRAME_CONTEXT, FRAME_INPUTS, FRAME_OUTPUTS, FRAME_DIMS, FRAME_ARENA = range(0, 40, 8)
FRAME_STATUS = CACHE_LINE
"""i32: the status; kernels may store another than OK."""
FRAME_BYTES = 2 * CACHE_LINE

# Status codes
OK, BAD_SHAPE, CPU_UNSUPPORTED, BAD_WEIGHTS, INDEX_RANGE, OVERFLOW, OPERATOR_FAILED = range(7)
STATUS_NAMES = ("OK", "BAD_SHAPE", "CPU_UNSUPPORTED", "BAD_WEIGHTS", "INDEX_RANGE", "OVERFLOW", "OPERATOR_FAILED")

# A weights file: this header in a page of its own, then the payload
WEIGHTS_MAGIC = b"MLCWGTS\0"
WEIGHTS_HEADER = Struct("<8sIIQ32s8x")
"""Magic, ABI version, header bytes, payload bytes, SHA-256 of the payload."""
WEIGHTS_PAYLOAD = 4096
"""Offset of the payload."""
