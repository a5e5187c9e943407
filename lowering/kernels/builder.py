"""From one `hlt.fusion` to one `loop.kernel`: buffers for its tensors, and computes built by the operator families.

Every operation inside becomes one or more computes over the logical dims of its result; values between them are
scratch buffers of full size. Layouts enter where a buffer is indexed, so that no family needs to know about them.
The pass `fuse` then merges what can be one compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from xdsl.dialects.builtin import (
    IntegerType,
    MemRefType,
    StringAttr,
    TensorType,
    UnitAttr,
    i8,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import is_narrow
from mlc.dialects.hlt.layout import LayoutAttr
from mlc.dialects.loop import (
    STATUS,
    ComputeOp,
    Dim,
    DimsAttr,
    KernelOp,
    MapAttr,
    ScratchOp,
)
from mlc.dialects.loop.affine import Expr, dim, dims_of, floordiv, mod
from mlc.errors import InternalError, UnsupportedError
from mlc.lowering.scalar import Body, Scalar, Values, last, region

Index: TypeAlias = Sequence[Expr]
"""A logical index of a tensor: one expression per dim."""


@dataclass(frozen=True)
class Splat:
    """A tensor whose elements are all one known number."""

    value: float
    element: Attribute


@dataclass(frozen=True)
class Buffer:
    """A tensor in memory: its memref, its logical shape, and how a logical index maps to the memref's."""

    memref: SSAValue
    shape: tuple[int, ...]
    layout: LayoutAttr | None
    origin: tuple[int, ...] = ()
    """Where the tensor starts in a larger one that the memref holds; empty: it is the whole."""

    @property
    def element(self) -> Attribute:
        """The element type in memory."""
        assert isinstance(self.memref.type, MemRefType)
        return self.memref.type.element_type

    def index(self, logical: Index, ranges: Mapping[str, int]) -> MapAttr:
        """The map of a logical index."""
        if self.origin:
            logical = [e.shifted(start) for e, start in zip(logical, self.origin, strict=True)]
        if self.layout is None:
            return MapAttr(tuple(logical))
        halo = self.layout.halo
        shifted = [e.shifted(h.low) for e, h in zip(logical, halo, strict=True)]
        physical: list[Expr] = []
        for part in self.layout.dims:
            expr = shifted[part.dim]
            if part.block:
                expr = mod(expr, part.block, ranges) if part.inner else floordiv(expr, part.block, ranges)
            physical.append(expr)
        return MapAttr(tuple(physical))


Source: TypeAlias = Buffer | Splat


class Place(NamedTuple):
    """Where a tensor lies that is part of a larger one: the larger one's type, and its index of the first element.

    ``done``: the larger one is this kernel's own result, so that the part is in its place already.
    """

    type: Attribute
    origin: tuple[int, ...]
    done: bool = False


def signless(element: Attribute) -> Attribute:
    """The element type of a buffer: unsigned integers are plain bits in memory, narrow types bytes."""
    if is_narrow(element):
        return i8
    return IntegerType(element.width.data) if isinstance(element, IntegerType) else element


def memref_type(type_: Attribute) -> MemRefType[Attribute]:
    """The buffer of a tensor type, laid out as its encoding says."""
    tensor = _tensor(type_)
    shape = tensor.get_shape()
    if isinstance(tensor.encoding, LayoutAttr):
        shape = tensor.encoding.physical_shape(shape)
    return MemRefType(signless(tensor.element_type), shape)


class KernelBuilder:
    """Builds the kernel of one fusion."""

    def __init__(
        self,
        name: str,
        operands: Sequence[SSAValue],
        results: Sequence[SSAValue],
        result_types: Sequence[Attribute],
        places: Sequence[Place | None] = (),
    ) -> None:
        """``operands`` are the fusion region's arguments, ``results`` the values that it yields.

        The layouts of results are those of the fusion's own ``result_types``. ``places`` are those of the operands
        and results that are parts of larger tensors; two arguments with one place are the same memory.
        """
        values = [*operands, *results]
        types = [*(v.type for v in operands), *result_types]
        found = list(places) or [None] * len(types)
        self.block = Block(arg_types=[memref_type(p.type if p else t) for t, p in zip(types, found, strict=True)])
        self.name = name
        self.sources: dict[SSAValue, Source] = {}
        self.outputs: dict[SSAValue, Buffer] = {}
        buffers = [_buffer(a, _tensor(t), p) for a, t, p in zip(self.block.args, types, found)]
        self.sources.update(zip(operands, buffers))
        self.outputs.update(zip(results, buffers[len(operands) :]))
        self.places = dict(zip(values[: len(operands)], found))

    def kernel(self) -> KernelOp:
        """The finished kernel."""
        properties: dict[str, Attribute] = {"sym_name": StringAttr(self.name)}
        if any(isinstance(op, ComputeOp) and op.subscripts for op in self.block.ops):
            self.block.insert_arg(STATUS, len(self.block.args))
            properties["checked"] = UnitAttr()
        return KernelOp.create(properties=properties, regions=[Region(self.block)])

    # --- tensors

    def source(self, value: SSAValue) -> Source:
        """Where a tensor's elements come from."""
        found = self.sources.get(value)
        if found is None:
            raise InternalError(f"a kernel uses {value} before it is computed")
        return found

    def buffer(self, value: SSAValue) -> Buffer:
        """A tensor as a buffer; a splat is written out first."""
        source = self.source(value)
        if isinstance(source, Buffer):
            return source
        target = self.scratch(_tensor(value.type).get_shape(), source.element)
        self.fill(target, source)
        self.sources[value] = target
        return target

    def result(self, value: SSAValue) -> Buffer:
        """The buffer to write a tensor to: the kernel's output, or scratch."""
        target = self.outputs.get(value)
        if target is None:
            tensor = _tensor(value.type)
            target = self.scratch(tensor.get_shape(), signless(tensor.element_type))
        self.sources[value] = target
        return target

    def scratch(self, shape: Sequence[int], element: Attribute) -> Buffer:
        """A buffer private to the kernel."""
        made = ScratchOp.create(result_types=[MemRefType(element, list(shape))])
        self.block.add_op(made)
        return Buffer(made.result, tuple(shape), None)

    def alias(self, value: SSAValue, source: Source) -> None:
        """Declare that a tensor is another's splat."""
        self.sources[value] = source

    def fill(self, target: Buffer, source: Splat) -> None:
        """Write one number everywhere."""
        dims = result_dims(target.shape)
        self.compute([(source, ids(dims))], [(target, ids(dims))], dims, finish=last)

    # --- computes

    def compute(
        self,
        ins: Sequence[tuple[Source, Index]],
        outs: Sequence[tuple[Buffer, Index]],
        dims: Sequence[Dim],
        *,
        finish: Body,
        start: Sequence[Splat] = (),
        map: Body | None = None,
        combine: Body | None = None,
        elems: Sequence[tuple[Buffer, Index]] = (),
        subscripts: Sequence[tuple[Buffer, Index]] = (),
    ) -> None:
        """Append a compute. Splats among ``ins`` become constants inside the regions.

        Loops run at least once, so a domain without points makes no compute, and a fold of nothing is no fold.
        A reduction's accumulators ``start`` from known numbers; ``finish`` sees them after the operands.
        ``affine.subscript(i, extent)`` in an index is the value of ``subscripts[i]``; it is checked at run time.
        """
        if any(d.extent == 0 and d.kind != "r" for d in dims):
            return
        if any(d.extent == 0 for d in dims):
            self._fold_nothing(ins, outs, dims, finish, start)
            return
        ranges = {d.name: d.extent for d in dims}
        real = [(b, e) for b, e in ins if isinstance(b, Buffer)]
        maps = [b.index(e, ranges) for b, e in (*real, *outs, *elems, *subscripts)]
        types = [b.element for b, _ in real]
        sources = [b for b, _ in ins]

        accumulators = [s.element for s in start]

        def initial(s: Scalar, *_: SSAValue) -> list[SSAValue]:
            return [s.constant(number.value, number.element) for number in start]

        def with_splats(body: Body) -> Body:
            def build(s: Scalar, *args: SSAValue) -> Values:
                rest = iter(args)
                full = [s.constant(b.value, b.element) if isinstance(b, Splat) else next(rest) for b in sources]
                return body(s, *full, *rest)

            return build

        made = ComputeOp.make(
            [b.memref for b, _ in real],
            [b.memref for b, _ in outs],
            DimsAttr(tuple(dims)),
            maps,
            init=region(types, initial) if start else None,
            map=region(types, with_splats(map)) if map else None,
            combine=region([*accumulators, *accumulators], combine) if combine else None,
            finish=region([*types, *accumulators], with_splats(finish)),
            elems=[b.memref for b, _ in elems],
            subscripts=[b.memref for b, _ in subscripts],
        )
        self.block.add_op(made)

    def _fold_nothing(
        self,
        ins: Sequence[tuple[Source, Index]],
        outs: Sequence[tuple[Buffer, Index]],
        dims: Sequence[Dim],
        finish: Body,
        start: Sequence[Splat],
    ) -> None:
        """The result of a reduction over an empty dim: ``finish`` of what the accumulators start from."""
        folded = {d.name for d in dims if d.kind == "r"}
        kept = [d for d in dims if d.kind != "r"]
        there = [(Splat(0, b.element) if any(folded & dims_of(e) for e in index) else b, index) for b, index in ins]

        def finished(s: Scalar, *args: SSAValue) -> Values:
            return finish(s, *args, *(s.constant(number.value, number.element) for number in start))

        self.compute(there, outs, kept, finish=finished)


def _tensor(type_: Attribute) -> TensorType[Attribute]:
    if not isinstance(type_, TensorType):
        raise InternalError(f"{type_} is no tensor")
    return type_


def _buffer(memref: SSAValue, tensor: TensorType[Attribute], place: Place | None) -> Buffer:
    whole = _tensor(place.type) if place else tensor
    layout = whole.encoding if isinstance(whole.encoding, LayoutAttr) else None
    return Buffer(memref, tensor.get_shape(), layout, place.origin if place else ())


def result_dims(shape: Sequence[int], prefix: str = "d") -> list[Dim]:
    """Parallel dims ``d0 d1 ..`` over a shape."""
    return [Dim(f"{prefix}{i}", extent) for i, extent in enumerate(shape)]


def ids(dims: Sequence[Dim]) -> list[Expr]:
    """Each dim as an index expression; a dim of extent 1 is index 0."""
    return [dim(d.name) if d.extent != 1 else Expr(0, ()) for d in dims]


# --- the families register how they lower their operations

Lowering: TypeAlias = Callable[[KernelBuilder, Any], None]
_LOWERINGS: dict[type[Operation], Lowering] = {}


def lowers(*classes: type[Operation]) -> Callable[[Lowering], Lowering]:
    """Decorator: the function that lowers these operations."""

    def register(function: Lowering) -> Lowering:
        for cls in classes:
            _LOWERINGS[cls] = function
        return function

    return register


def lower_operation(builder: KernelBuilder, op: Operation) -> None:
    """Append the computes of one operation; raises UnsupportedError for one that no family knows."""
    function = _LOWERINGS.get(type(op))
    if function is None:
        raise UnsupportedError(f"{op.name} has no kernel yet", node=hlt.node_name(op))
    function(builder, op)


def lowerable(op: Operation) -> bool:
    """Whether some family lowers this operation."""
    return type(op) in _LOWERINGS


def splat_of(op: Operation) -> Splat | None:
    """The number of a constant that is one number everywhere."""
    if not isinstance(op, hlt.ConstantOp):
        return None
    array = hlt.constant_value(op)
    if array is None or not array.size:
        return None
    first = array.reshape(-1)[0]
    if array.size > 1 and any(array.strides) and not np.all((array == first) | ((array != array) & (first != first))):
        return None
    return splat(first, _tensor(op.result.type).element_type)


def splat(value: Any, element: Attribute) -> Splat:
    """One number, a NumPy scalar of the element type, as a buffer holds it: the code of one of a narrow type."""
    number = np.asarray(value)
    return Splat((number.view(np.uint8) if is_narrow(element) else number).item(), signless(element))
