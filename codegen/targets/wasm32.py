"""WebAssembly: 128-bit vectors, no threads; fused multiply-add only where relaxed SIMD is.

Engines allocate registers themselves; on x86 they have 16, of which they keep some. Tiles of 4 rows of 2 vectors that
take one step of the reduction ran fastest in V8. LLVM orders what it can keep on WebAssembly's stack by result, not by
step, so that larger tiles need more registers than there are.
"""

from __future__ import annotations

from mlc.codegen.targets.base import Caches, Instruction, Target

_MULTIPLY_ADD = Instruction(
    op="math.fma",
    dtype="f32",
    lanes=4,
    features=frozenset({"relaxed-simd"}),
    text="call {T} @llvm.wasm.relaxed.madd.{S}({T} {0}, {T} {1}, {T} {2})",
    declare="{T} @llvm.wasm.relaxed.madd.{S}({T}, {T}, {T})",
)
"""Rounds once where the processor has such an instruction, else twice."""


def _target(name: str, *features: str) -> Target:
    return Target(
        name=name,
        triple="wasm32-unknown-unknown-wasm",
        cpu="generic",
        features=frozenset(features),
        vector_bytes=16,
        registers=12,
        unroll_budget=36,
        reduction_unroll=1,
        proven_offsets=True,
        fma=False,
        half=False,
        caches=Caches(l1=32 << 10, l2=512 << 10, l3=1 << 20),
        rows=(_MULTIPLY_ADD,),
        llvm_features=",".join(f"+{feature}" for feature in features),
        container="wasm",
        relocation="static",
        pointer_bytes=4,
        threads=False,
    )


TARGETS = (_target("wasm32", "simd128"), _target("wasm32-relaxed", "simd128", "relaxed-simd"))
