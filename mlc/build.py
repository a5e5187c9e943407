"""From a scheduled loop program to an artefact: kernels' IR, calls, and the payload of packed weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerAttr, ModuleOp
from xdsl.ir import SSAValue

from mlc.codegen.borders import Border, Borders
from mlc.codegen.emit.function import emit_kernel
from mlc.codegen.program import Program, TensorSpec
from mlc.codegen.runtime.clock import ENTRY_BYTES
from mlc.codegen.steps import BufferRef, Step, calls_within
from mlc.codegen.targets import Target
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import capacities, is_bounded
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.loop import CallCOp, ConstantOp, KernelOp, PackOp, buffer_type
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.errors import InternalError, UnsupportedError
from mlc.lowering.loops.cost import flops
from mlc.lowering.loops.elide_copies import storage_of
from mlc.lowering.loops.levels import element_bytes
from mlc.lowering.loops.needed import noted_needs
from mlc.lowering.loops.pack import pack_array
from mlc.lowering.loops.plan_memory import main_of, size_of
from mlc.memory import Memory
from mlc.sequence import Sequencer

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
    offsets: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])

    def place(self, value: SSAValue) -> int:
        """The offset of a constant, which gets one when it is first asked for."""
        found = self.offsets.get(value)
        if found is None:
            found = self.offsets[value] = self.size
            self.entries.append(Packed(found, value))
            self.size += -(-size_of(value) // ALIGNMENT) * ALIGNMENT
        return found

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

    def __init__(self, module: ModuleOp, bounds: Bounds | None = None) -> None:
        main = main_of(module)
        if main is None:
            raise InternalError("the program has no @main")
        self.main = main
        self.kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
        arena = main.attributes["arena"]
        assert isinstance(arena, IntegerAttr)
        self.arena = arena.value.data
        self.payload = Payload([], 0)
        self.borders: Borders | None = None
        elsewhere: dict[int, BufferRef] = {}
        if bounds is not None:
            self.borders = self._borders(bounds)
            elsewhere = self._elsewhere(self.borders)
        self.memory = Memory(main, self.payload.place, elsewhere)

    def _borders(self, bounds: Bounds) -> Borders:
        """Storage for the bounded inputs and outputs, behind all else in the arena."""
        tensors: list[Border] = []
        offsets: dict[int, int] = {}
        sides: tuple[tuple[Literal["input", "output"], Sequence[tuple[int, ...]], int], ...]
        sides = (("input", bounds.inputs, 0), ("output", bounds.outputs, bounds.arguments))
        for side, shapes, start in sides:
            for index, shape in enumerate(shapes):
                if is_bounded(shape):
                    argument = self.main.body.block.args[start + index]
                    item = element_bytes(buffer_type(argument).element_type)
                    rooms = buffer_type(argument).get_shape()
                    needs: Mapping[int, int] = noted_needs(self.main, index, bounds) if side == "input" else {}
                    needed = tuple(needs.get(axis, room) for axis, room in enumerate(rooms))
                    number = storage_of(self.main, start + index)
                    if number not in offsets:
                        offsets[number] = self._reserved(size_of(argument))
                    tensors.append(Border(side, index, offsets[number], shape, rooms, item, needed))
        return Borders(bounds, tuple(tensors), self._reserved(8 * len(bounds.found)))

    def _reserved(self, size: int) -> int:
        """The offset of that many more bytes of the arena."""
        offset = -(-self.arena // ALIGNMENT) * ALIGNMENT
        self.arena = offset + size
        return offset

    def _elsewhere(self, borders: Borders) -> dict[int, BufferRef]:
        """Where those arguments of @main lie that are not the caller's tensors, by their position."""
        bounds = borders.bounds
        starts = {"input": 0, "output": bounds.arguments}
        found = {starts[b.side] + b.index: BufferRef("arena", 0, b.offset) for b in borders.tensors}
        if bounds.symbols:
            found[len(bounds.inputs)] = BufferRef("dims")
        if bounds.found:
            found[bounds.arguments + len(bounds.outputs)] = BufferRef("arena", 0, borders.found)
        return found

    def sequencer(self, *, threads: bool) -> Sequencer:
        """What turns the program into steps, for one thread or several."""
        return Sequencer(self.memory, self.kernels, self.main.body.block, self._reserved, threads=threads)

    def times(self, steps: Sequence[Step], threads: int) -> int:
        """The offset of room for so many threads to note how long their calls take."""
        return self._reserved(ENTRY_BYTES * len(calls_within(steps)) * threads)

    def described(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """Every call's kernel, node of the model and floating-point operations (-1 where dims of the call decide)."""
        counts = {name: flops(kernel.body.block.ops) for name, kernel in self.kernels.items()}
        unknown = self.borders is not None
        return [
            {"kernel": call.kernel, "node": call.node, "flops": -1 if unknown else counts[call.kernel]}
            for call in calls_within(steps)
        ]

    def specs(self, side: Literal["input", "output"], tensors: Sequence[tuple[str, str]]) -> tuple[TensorSpec, ...]:
        """What the model's inputs or outputs are; ``tensors`` are (name, NumPy dtype name)."""
        if self.borders is not None:
            bounds = self.borders.bounds
            shapes = [capacities(shape) for shape in (bounds.inputs if side == "input" else bounds.outputs)]
        else:
            args = self.main.body.block.args
            count = self.memory.inputs
            shapes = [buffer_type(value).get_shape() for value in (args[:count] if side == "input" else args[count:])]
        return tuple(TensorSpec(name, dtype, shape) for (name, dtype), shape in zip(tensors, shapes))


def _c_functions(kernels: Sequence[KernelOp], target: Target) -> tuple[str, ...]:
    """The C functions that kernels call; UnsupportedError for targets on which nobody could link them."""
    symbols = {op.symbol.data for kernel in kernels for op in kernel.walk() if isinstance(op, CallCOp)}
    if symbols and (target.kind == "gpu" or target.container == "wasm"):
        raise UnsupportedError(f"{target.name} code can't call the C functions {', '.join(sorted(symbols))}")
    return tuple(sorted(symbols))


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
    bounds: Bounds | None = None,
    timed: int = 0,
) -> Frame:
    """The frame of a scheduled program; ``inputs`` and ``outputs`` are (name, NumPy dtype name).

    ``metadata`` is what the artefact says of itself beside that. With ``timed``, up to so many threads note how long
    their calls take.
    """
    builder = Builder(module, bounds)
    sequencer = builder.sequencer(threads=threads)
    steps = sequencer.steps()
    extra = dict(metadata or {})
    times = builder.times(steps, timed) if timed else None
    if times is not None:
        extra["times"] = {"offset": times, "threads": timed, "calls": builder.described(steps)}
    used = {call.kernel for call in calls_within(steps)}
    symbols = _c_functions([op for op in module.ops if isinstance(op, KernelOp) and op.sym_name.data in used], target)
    kernels = [
        (op.sym_name.data, emit_kernel(op, target))
        for op in module.ops
        if isinstance(op, KernelOp) and op.sym_name.data in used
    ]
    program = Program(
        name=name,
        inputs=builder.specs("input", inputs),
        outputs=builder.specs("output", outputs),
        steps=steps,
        arena_bytes=builder.arena,
        weights_bytes=builder.payload.size,
        weights_sha256=weights_sha256,
        target=target,
        threads=sequencer.threads,
        embedded_weights=embedded_weights,
        metadata=extra,
        borders=builder.borders,
        symbols=symbols,
        times=times,
    )
    return Frame(program, kernels, builder.payload)
