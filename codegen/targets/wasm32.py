"""WebAssembly: 128-bit vectors, no fused multiply-add, no threads."""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Target

TARGETS = (
    Target(
        name="wasm32",
        triple="wasm32-unknown-unknown-wasm",
        cpu="generic",
        features=frozenset({"simd128"}),
        vector_bytes=16,
        registers=16,
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
