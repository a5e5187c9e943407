"""WebAssembly: 128-bit vectors, no fused multiply-add, no threads.

Engines allocate registers themselves; on x86 they have 16, of which they keep some. Tiles of 4 rows of 2 vectors that
take one step of the reduction ran fastest in V8. LLVM orders what it can keep on WebAssembly's stack by result, not by
step, so that larger tiles need more registers than there are.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target

TARGETS = (
    Target(
        name="wasm32",
        triple="wasm32-unknown-unknown-wasm",
        cpu="generic",
        features=frozenset({"simd128"}),
        vector_bytes=16,
        registers=12,
        unroll_budget=36,
        reduction_unroll=1,
        proven_offsets=True,
        fma=False,
        half=False,
        caches=Caches(l1=32 << 10, l2=512 << 10, l3=1 << 20),
        llvm_features="+simd128",
        container="wasm",
        relocation="static",
        pointer_bytes=4,
        threads=False,
    ),
)
