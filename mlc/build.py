"""From a scheduled loop program to an artefact: kernels' IR, calls, and the payload of packed weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerAttr, MemRefType, ModuleOp
from xdsl.ir import BlockArgument, SSAValue

from mlc.codegen.emit.function import emit_kernel
from mlc.codegen.program import BufferRef, Call, Program, TensorSpec
from mlc.codegen.targets import Target
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.loop import BufferOp, CallOp, ConstantOp, KernelOp, PackOp, StatusOp, TileOp, buffer_type
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import InternalError
from mlc.lowering.loops.pack import pack_array
from mlc.lowering.loops.plan_memory import main_of, root, size_of, view_offset

ALIGNMENT = 64


@dataclass(frozen=True)
class Packed:
    """One entry of the weights payload: where it lies and which constant (or pack of one) it holds."""

    offset: int
    value: SSAValue


@dataclass
class Payload:
    """The layout of the weights payload."""

    entries: list[Packed]
    size: int

    def arrays(self, weights: WeightStore) -> Iterator[tuple[int, NDArray[Any]]]:
        """Offsets and dense arrays, one at a time."""
        for entry in self.entries:
            yield entry.offset, constant_array(entry.value, weights)


def constant_array(value: SSAValue, weights: WeightStore) -> NDArray[Any]:
    """The dense array of a constant or of a pack of one, in the buffer's shape."""
    owner = value.owner
    if isinstance(owner, PackOp):
        return pack_array(owner, constant_array(owner.source, weights))
    if not isinstance(owner, ConstantOp):
        raise InternalError(f"{value} is no constant")
    shape = buffer_type(value).get_shape()
    if isinstance(owner.value, WeightAttr):
        return weights.array(owner.value.key.data).reshape(shape)
    if isinstance(owner.value, DenseIntOrFPElementsAttr):
        return _dense(owner.value, shape)
    raise InternalError(f"{owner.value} is no constant")


def _dense(attr: DenseIntOrFPElementsAttr, shape: Sequence[int]) -> NDArray[Any]:
    dtype = numpy_dtype(attr.get_element_type())
    flat = np.frombuffer(attr.data.data, np.uint8 if dtype == np.bool_ else dtype)
    if flat.size != prod(shape):
        flat = np.broadcast_to(flat[:1], (prod(shape),))
    return flat.reshape(tuple(shape))


@dataclass(frozen=True)
class Frame:
    """A program whose kernels are text: everything that code generation needs."""

    program: Program
    kernels: list[tuple[str, str]]
    payload: Payload


class Builder:
    """Reads ``@main`` of a scheduled program."""

    def __init__(self, module: ModuleOp) -> None:
        main = main_of(module)
        if main is None:
            raise InternalError("the program has no @main")
        self.module = module
        self.main = main
        inputs = main.attributes["inputs"]
        arena = main.attributes["arena"]
        assert isinstance(inputs, IntegerAttr)
        assert isinstance(arena, IntegerAttr)
        self.inputs = inputs.value.data
        self.arena = arena.value.data
        self.offsets: dict[SSAValue, int] = {}
        self.payload = Payload([], 0)

    def reference(self, value: SSAValue) -> BufferRef:
        """Where a buffer of a call lies."""
        base, offset = root(value), view_offset(value)
        owner = base.owner
        if isinstance(base, BlockArgument):
            if base.index < self.inputs:
                return BufferRef("input", base.index, offset)
            return BufferRef("output", base.index - self.inputs, offset)
        if isinstance(owner, StatusOp):
            return BufferRef("status")
        if isinstance(owner, BufferOp):
            assert owner.offset is not None
            return BufferRef("arena", 0, owner.offset.value.data + offset)
        return BufferRef("weights", 0, self._constant(base) + offset)

    def _constant(self, value: SSAValue) -> int:
        found = self.offsets.get(value)
        if found is None:
            found = self.offsets[value] = self.payload.size
            self.payload.entries.append(Packed(found, value))
            self.payload.size += -(-size_of(value) // ALIGNMENT) * ALIGNMENT
        return found

    def calls(self) -> list[Call]:
        """All kernel calls, with a barrier where one touches what an earlier one of other threads did."""
        calls: list[Call] = []
        touched = _Touched()
        for op in self.main.body.block.ops:
            if not isinstance(op, CallOp):
                continue
            refs = tuple(self.reference(v) for v in op.args)
            kernel = self.kernel(op.kernel)
            spans = [(r, size_of(v), written) for r, v, written in zip(refs, op.args, _written(kernel))]
            barrier = touched.conflicts(spans)
            if barrier:
                touched.clear()
            touched.add(spans)
            calls.append(Call(op.kernel, refs, barrier))
        return calls

    def kernel(self, name: str) -> KernelOp:
        """The kernel called ``name``."""
        for op in self.module.ops:
            if isinstance(op, KernelOp) and op.sym_name.data == name:
                return op
        raise InternalError(f"no kernel @{name}")

    def specs(self, names: Sequence[str], dtypes: Sequence[str], start: int) -> tuple[TensorSpec, ...]:
        """Names and types of the model's inputs or outputs, which are @main's arguments from ``start`` on."""
        args = self.main.body.block.args[start : start + len(names)]
        found: list[TensorSpec] = []
        for name, dtype, argument in zip(names, dtypes, args):
            assert isinstance(argument.type, MemRefType)
            found.append(TensorSpec(name, dtype, argument.type.get_shape()))
        return tuple(found)


class _Touched:
    """Memory that kernels since the last barrier read or wrote."""

    def __init__(self) -> None:
        self.spans: list[tuple[BufferRef, int, bool]] = []

    def clear(self) -> None:
        self.spans.clear()

    def add(self, spans: Sequence[tuple[BufferRef, int, bool]]) -> None:
        self.spans += [s for s in spans if s[0].space not in ("weights", "status")]

    def conflicts(self, spans: Sequence[tuple[BufferRef, int, bool]]) -> bool:
        """Whether some span overlaps one that was touched, and either writes."""
        return any(
            (written or before) and _overlap(ref, size, other, length)
            for ref, size, written in spans
            for other, length, before in self.spans
        )


def _overlap(a: BufferRef, a_size: int, b: BufferRef, b_size: int) -> bool:
    if (a.space, a.index) != (b.space, b.index):
        return False
    return a.offset < b.offset + b_size and b.offset < a.offset + a_size


def _written(kernel: KernelOp) -> list[bool]:
    """Which arguments a kernel writes."""
    written = {v for op in kernel.walk() if isinstance(op, TileOp) for v in op.outs}
    return [a in written for a in kernel.body.block.args]


def build_frame(
    module: ModuleOp,
    *,
    name: str,
    inputs: Sequence[tuple[str, str]],
    outputs: Sequence[tuple[str, str]],
    target: Target,
    threads: bool,
    embedded_weights: bool = False,
    weights_sha256: str = "0" * 64,
    metadata: Mapping[str, Any] | None = None,
) -> Frame:
    """The frame of a scheduled program; ``inputs`` and ``outputs`` are (name, NumPy dtype name).

    ``metadata`` is what the artefact says of itself beside that.
    """
    builder = Builder(module)
    calls = builder.calls()
    used = {c.kernel for c in calls}
    kernels = [
        (op.sym_name.data, emit_kernel(op, target))
        for op in module.ops
        if isinstance(op, KernelOp) and op.sym_name.data in used
    ]
    program = Program(
        name=name,
        inputs=builder.specs([n for n, _ in inputs], [d for _, d in inputs], 0),
        outputs=builder.specs([n for n, _ in outputs], [d for _, d in outputs], builder.inputs),
        calls=tuple(calls),
        arena_bytes=builder.arena,
        weights_bytes=builder.payload.size,
        weights_sha256=weights_sha256,
        target=target,
        threads=threads,
        embedded_weights=embedded_weights,
        metadata=dict(metadata or {}),
    )
    return Frame(program, kernels, builder.payload)
