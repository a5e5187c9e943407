"""Which points of a program's computes matter when dims get their values at run time.

Two walks over the calls of `@main`. Forwards, what is known to stand beyond run-time extents (`beyond`). Backwards, how
far along each axis a buffer is read: results below their shapes' extents, operands as far as the maps lead from the
points that matter. A parallel dim matters as far as its results are read. A reduction matters up to an extent beyond
which folding changes nothing; its last tile may reach further, so what it reads is computed that much further.

Buffers that control flow or steps in order touch are read whole. Subscripts are, too: each is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from xdsl.dialects.builtin import IntegerType, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue

from mlc.dialects.bounds import Bounds, bounds_of
from mlc.dialects.extents import Extent, dim, greatest
from mlc.dialects.hlt.constant import constant_value
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.loop import (
    CallCOp,
    CallOp,
    ComputeOp,
    ConstantOp,
    IfOp,
    KernelOp,
    RepeatOp,
    ScratchOp,
    ViewOp,
    buffer_type,
)
from mlc.dialects.loop.affine import Expr, dims_of, subscripts_of
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.lowering.loops.beyond import Contents, Regions, contents_kept, contents_of
from mlc.lowering.loops.elide_copies import storage_of
from mlc.lowering.loops.footprint import Axis, at_least, axis_of, ceil_extent, covers, cut, end, settled
from mlc.lowering.loops.levels import element_bytes
from mlc.lowering.loops.plan_memory import root, roots

Need: TypeAlias = dict[Axis, int]
"""How far along its axes a buffer is read; an axis that is not there is read whole."""

Ends: TypeAlias = dict[str, int]
"""Where dims of a compute may end."""


@dataclass
class Flow:
    """What is known of buffers and what is needed of them."""

    known: dict[SSAValue, Contents] = field(default_factory=dict[SSAValue, Contents])
    needs: dict[SSAValue, Need] = field(default_factory=dict[SSAValue, Need])

    def need(self, value: SSAValue, asked: Need) -> None:
        """One more reader, which reads that far."""
        found = self.needs.get(value)
        if found is None:
            self.needs[value] = dict(asked)
        else:
            self.needs[value] = {axis: greatest(found[axis], asked[axis]) for axis in found.keys() & asked.keys()}


class Demand:
    """The analysis of one program; `ends` has the result."""

    def __init__(self, module: ModuleOp, main: FuncOp, bounds: Bounds, weights: WeightStore | None) -> None:
        self.bounds = bounds
        self.main = main
        self.kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
        self.weights = weights
        self.calls = [op for op in main.body.block.ops if isinstance(op, CallOp)]
        self.opaque = set(_opaque_roots(main.body.block))
        self.flow = Flow()
        self.touched: set[SSAValue] = set()
        """The inputs, and what calls have written so far."""
        self.known: dict[CallOp, list[dict[SSAValue, Contents]]] = {}
        """Per call of a kernel whose computes may end early: what each of them finds in its operands."""
        self.ends: dict[CallOp, list[Ends]] = {}
        """Per call, where the dims of its kernel's computes may end."""

    def run(self) -> None:
        """Both walks."""
        self._borders()
        self._constants()
        for call in self.calls:
            self._forwards(call)
        found = {call: self._backwards(call) for call in reversed(self.calls)}
        self.ends = {call: found[call] for call in self.calls}

    def read(self, value: SSAValue) -> Mapping[int, int]:
        """By dim of a buffer, how far it is read; a dim that is not there is read whole."""
        shape, need = buffer_type(value).get_shape(), self.flow.needs.get(value, {})
        if 0 in shape:
            return {}
        named = ((number, *axis_of(shape, number)) for number in range(len(shape)))
        ends = {number: ceil_extent(need[axis], unit) for number, axis, unit in named if axis in need}
        return {number: end_ for number, end_ in ends.items() if not at_least(end_, shape[number])}

    def _borders(self) -> None:
        """Inputs hold zeros beyond their extents; results matter below theirs."""
        args, bounds = self.main.body.block.args, self.bounds
        for value, shape in zip(args, bounds.inputs):
            beyond = {
                (axis, extent * unit): np.zeros((), numpy_dtype(buffer_type(value).element_type))
                for place, extent in enumerate(shape)
                if isinstance(extent, Extent)
                for axis, unit in [axis_of(buffer_type(value).get_shape(), place)]
            }
            self.flow.known[value] = Contents(beyond)
        if bounds.symbols:
            elements = {i: dim(symbol) for i, symbol in enumerate(bounds.symbols)}
            self.flow.known[args[len(bounds.inputs)]] = Contents(elements=elements)
        given = set(bounds.symbols)
        self.touched.update(args[: bounds.arguments])
        for number, shape in enumerate(bounds.outputs, bounds.arguments):
            value, need = args[storage_of(self.main, number)], Need()
            for place, extent in enumerate(shape):
                if isinstance(extent, Extent) and extent.symbols <= given:
                    axis, unit = axis_of(buffer_type(value).get_shape(), place)
                    need[axis] = extent * unit
            self.flow.need(value, need)
        for value in args[bounds.arguments + len(bounds.outputs) :]:
            self.flow.need(value, {})

    def _constants(self) -> None:
        """Lines of numbers that count from 0: what folding makes of indices."""
        for op in self.main.body.block.ops:
            if isinstance(op, ConstantOp) and isinstance(buffer_type(op.result).element_type, IntegerType):
                array = _line(op, self.weights)
                if array is not None and np.array_equal(array, np.arange(len(array))):
                    self.flow.known[op.result] = Contents(counts=True)

    def _plain(self, value: SSAValue) -> SSAValue | None:
        """The whole buffer that a value is another shape of, if nothing but calls touches it."""
        base = root(value)
        if base in self.opaque or any(v.offset is not None for v in _views(value)) or _per_element(value) is None:
            return None
        return base

    def _bases(self, call: CallOp) -> dict[SSAValue, SSAValue | None]:
        """What the arguments of a call's kernel stand for."""
        kernel = self.kernels[call.kernel]
        return {argument: self._plain(value) for argument, value in zip(kernel.args, call.args)}

    def _forwards(self, call: CallOp) -> None:
        """Note what a call finds, and what is known of its results from there on."""
        kernel, bases = self.kernels[call.kernel], self._bases(call)
        after: Mapping[SSAValue, Contents] = self._found(call, kernel, bases) if _is_plain(kernel, call) else {}
        written = _written(kernel)
        for argument, value in zip(kernel.args, call.args):
            if argument in written:
                base = root(value)
                self.touched.add(base)
                self.flow.known.pop(base, None)
                if bases[argument] is base and argument in after and _per_element(value) == 1:
                    self.flow.known[base] = after[argument]

    def _found(
        self, call: CallOp, kernel: KernelOp, bases: Mapping[SSAValue, SSAValue | None]
    ) -> Mapping[SSAValue, Contents]:
        """What is known of a kernel's buffers when its computes are through; `known` gets what each of them finds."""
        known: dict[SSAValue, Contents] = {}
        for argument, value in zip(kernel.args, call.args):
            base = bases[argument]
            if base is not None and base in self.flow.known:
                element = buffer_type(value).element_type
                known[argument] = self.flow.known[base].of_wider(_per_element(value) or 1, element)
        filled = {a for a, value in zip(kernel.args, call.args) if root(value) in self.touched}
        places: dict[SSAValue, list[object]] = {}
        self.known[call] = []
        for compute in kernel.computes():
            assert compute.maps is not None
            before = dict(known)
            self.known[call].append(before)
            found = contents_of(compute, before)
            for number, value in enumerate((*compute.outs, *compute.elems), len(compute.ins)):
                known.pop(value, None)
                place, index = _place(compute, number), compute.maps.data[number].data
                first = places.setdefault(value, place) == place and value not in filled
                if first or covers(index, buffer_type(value).get_shape(), compute.dims.extents):
                    contents = found.get(value)
                else:
                    filled.add(value)
                    contents = contents_kept(compute, number, before)
                if contents is not None:
                    known[value] = contents
        return known

    def _backwards(self, call: CallOp) -> list[Ends]:
        kernel, bases = self.kernels[call.kernel], self._bases(call)
        asked: dict[SSAValue, list[Need]] = {value: [{}] for value in kernel.args}
        found: list[Ends] = [{} for _ in kernel.computes()]
        if call in self.known:
            same = {a for a, value in zip(kernel.args, call.args) if _per_element(value) == 1}
            needs = {a: self.flow.needs.get(b, {}) if b is not None and a in same else {} for a, b in bases.items()}
            found, asked = _kernel_ends(kernel, self.known[call], needs)
        for argument, value in zip(kernel.args, call.args):
            base = bases[argument]
            for need in asked.get(argument, []):
                if base is None:
                    self.flow.need(root(value), {})
                else:
                    self.flow.need(base, _narrowed(need, _per_element(value) or 1))
        return found


def _per_element(value: SSAValue) -> int | None:
    """How many elements of the buffer behind a value make one of its own; None for a part of one."""
    types = [buffer_type(v).element_type for v in (value, root(value))]
    if types[0] == types[1]:
        return 1
    wide, narrow = (element_bytes(t) for t in types)
    return wide // narrow if wide > narrow else None


def _narrowed(need: Need, count: int) -> Need:
    """The same need in elements of which ``count`` make one."""
    found: Need = {}
    for (stride, extent), end_ in need.items():
        inner = stride == 1
        found[(1, extent * count) if inner else (stride * count, extent)] = end_ * count if inner else end_
    return found


def _views(value: SSAValue) -> list[ViewOp]:
    found: list[ViewOp] = []
    while isinstance(value.owner, ViewOp):
        found.append(value.owner)
        value = value.owner.source
    return found


def _opaque_roots(block: Block) -> Iterable[SSAValue]:
    """The buffers that control flow reads, or that calls inside it touch."""
    for op in block.ops:
        if isinstance(op, IfOp | RepeatOp):
            for inner in op.walk():
                for value in inner.operands:
                    yield from roots(value)
            yield from (r for value in op.results for r in (value, *roots(value)))


def _is_plain(kernel: KernelOp, call: CallOp) -> bool:
    """Whether a call is computes whose points are independent, but for what they fold, and results lie apart."""
    if not all(isinstance(op, ComputeOp | ScratchOp) for op in kernel.body.block.ops):
        return False
    written = _written(kernel)
    places = [root(value) for value in call.args]
    apart = all(places.count(place) == 1 for a, place in zip(kernel.args, places) if a in written)
    return apart and all(
        c.maps is not None and "s" not in c.dims.kinds.values() and _is_pointwise(c) for c in kernel.computes()
    )


def _is_pointwise(compute: ComputeOp) -> bool:
    """Whether each element that a compute overwrites is read for itself alone."""
    assert compute.maps is not None
    maps = list(zip(compute.operands, compute.maps.data))
    count, written = len(compute.ins), {*compute.outs, *compute.elems}
    return all(
        mapping == other for v, mapping in maps[:count] if v in written for w, other in maps[count:] if w is v
    ) and not written & {*compute.subscripts}


def _written(kernel: KernelOp) -> set[SSAValue]:
    others = (op for op in kernel.walk() if isinstance(op, CallCOp))
    return {v for c in kernel.computes() for v in (*c.outs, *c.elems)} | {v for op in others for v in op.outs}


def _place(compute: ComputeOp, number: int) -> list[object]:
    """Which elements a compute writes, such that equal places are the same elements."""
    assert compute.maps is not None
    index = compute.maps.data[number].data
    if any(subscripts_of(expr) for expr in index):
        return [object()]
    names = {name for expr in index for name in dims_of(expr)}
    return [index, *((n, e) for n, e in compute.dims.extents.items() if n in names)]


def _line(op: ConstantOp, weights: WeightStore | None) -> np.ndarray[Any, np.dtype[Any]] | None:
    """The array of a constant that is a line of integers, if it is at hand."""
    shape = buffer_type(op.result).get_shape()
    if len(shape) != 1 or shape[0] < 2:
        return None
    if isinstance(op.value, WeightAttr):
        return weights.array(op.value.key.data).reshape(-1) if weights is not None else None
    found = constant_value(op.value)
    return found.reshape(-1) if found is not None else None


def demand_of(module: ModuleOp, weights: WeightStore | None = None) -> Demand | None:
    """The analysis of a program with bounded dims that the caller gives; None for others."""
    bounds = bounds_of(module)
    main = next((op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main"), None)
    if bounds is None or not bounds.symbols or main is None:
        return None
    demand = Demand(module, main, bounds, weights)
    demand.run()
    return demand


def _kernel_ends(
    kernel: KernelOp, known: Sequence[dict[SSAValue, Contents]], needs: dict[SSAValue, Need]
) -> tuple[list[Ends], dict[SSAValue, list[Need]]]:
    """Where the dims of a kernel's computes end, and what is read of its arguments."""
    computes = kernel.computes()
    shared = [v.dim for v in kernel.shared.data.levels] if kernel.shared is not None else []
    found: list[Ends] = [{} for _ in computes]
    reads: dict[SSAValue, list[Need]] = {}
    for number in reversed(range(len(computes))):
        flow = Flow(known[number], needs)
        found[number] = _ends(computes[number], flow)
        for value, need in _reads(computes[number], found[number], flow):
            flow.need(value, need)
            reads.setdefault(value, []).append(need)
    for name in shared:
        having = [i for i, c in enumerate(computes) if name in c.dims.extents]
        if all(name in found[i] for i in having):
            joined = found[having[0]][name]
            for i in having:
                joined = greatest(joined, found[i][name])
            for i in having:
                found[i][name] = joined
        else:
            for i in having:
                found[i].pop(name, None)
    return found, reads


def _ends(compute: ComputeOp, flow: Flow) -> Ends:
    """Where the dims of a compute may end."""
    assert compute.maps is not None
    first = len(compute.ins)
    written = [*compute.outs, *compute.elems]
    subscripts = Regions(compute, flow.known).subscripts()
    needed: list[Ends] = []
    for number, value in enumerate(written, first):
        needed.append(_written_ends(value, compute.maps.data[number].data, flow.needs.get(value, {}), subscripts))
    extents, kinds = compute.dims.extents, compute.dims.kinds
    found: Ends = {}
    for name, kind in kinds.items():
        asked = needed if kind == "p" else needed[len(compute.outs) :]
        if kind == "p" and asked and all(name in ends for ends in asked):
            found[name] = _joined([ends[name] for ends in asked])
    for name, end_ in _fold_ends(compute, flow).items():
        asked = needed[len(compute.outs) :]
        if all(name in ends for ends in asked):
            found[name] = _joined([end_, *(ends[name] for ends in asked)])
    return {n: e for n, e in found.items() if not at_least(e, extents[n])}


def _joined(extents: Sequence[int]) -> int:
    found = extents[0]
    for extent in extents[1:]:
        found = greatest(found, extent)
    return found


def _written_ends(value: SSAValue, index: Sequence[Expr], need: Need, subscripts: Mapping[str, int]) -> Ends:
    """Where dims may end as far as one result goes."""
    shape = buffer_type(value).get_shape()
    found: Ends = {}
    for place, expr in enumerate(index):
        axis, unit = axis_of(shape, place)
        if axis not in need or shape[place] == 1:
            continue
        reached = cut(*settled(expr, ceil_extent(need[axis], unit), subscripts))
        if reached is not None and reached[0] not in found:
            found[reached[0]] = reached[1]
    return found


def _fold_ends(compute: ComputeOp, flow: Flow) -> Ends:
    """From where on folding the points of a reduction dim changes nothing."""
    if not compute.has_reduction:
        return {}
    regions = Regions(compute, flow.known)
    found: Ends = {}
    for assumption in regions.assumptions():
        if compute.dims.kinds[assumption.dim] != "r" or _slack(compute).get(assumption.dim, 0) is None:
            continue
        if assumption.dim not in found and regions.folds_nothing(assumption):
            found[assumption.dim] = assumption.start
    return found


def _slack(compute: ComputeOp) -> dict[str, int | None]:
    """By reduction dim: how far its last tile may reach beyond its end; None where it has no loop to end early.

    Before there is a schedule, nothing.
    """
    if compute.schedule is None:
        return {}
    kernel = compute.parent_op()
    shared = kernel.shared.data.levels if isinstance(kernel, KernelOp) and kernel.shared is not None else ()
    found: dict[str, int | None] = {name: None for name, kind in compute.dims.kinds.items() if kind == "r"}
    for level in (*shared, *compute.schedule.data.levels):
        if level.kind == "/" and level.dim in found:
            found[level.dim] = level.size - 1
    return found


def _reads(compute: ComputeOp, ends: Ends, flow: Flow) -> Iterable[tuple[SSAValue, Need]]:
    """What a compute that ends there reads of its operands and uses: where a mask decides, what it hides is not."""
    assert compute.maps is not None
    regions = Regions(compute, flow.known, exact=True)
    full: Ends = {**compute.dims.extents, **{name: value + 1 for name, value in regions.subscripts().items()}}
    slack = _slack(compute)
    for name, end_ in ends.items():
        full[name] = end_ + (slack.get(name) or 0)
    used = {a: regions.used(a) for a in regions.assumptions() if at_least(full[a.dim], a.start)}
    for number, (value, mapping) in enumerate(zip(compute.ins, compute.maps)):
        shape = buffer_type(value).get_shape()
        need: Need = {}
        ends_here = dict(full)
        for assumption, numbers in used.items():
            if number not in numbers and at_least(ends_here[assumption.dim], assumption.start):
                ends_here[assumption.dim] = assumption.start
        for place, expr in enumerate(mapping.data):
            axis, unit = axis_of(shape, place)
            reached = end(expr, ends_here)
            if shape[place] != 1 and not at_least(reached, shape[place]):
                need[axis] = reached * unit
        yield value, need
    for value in compute.subscripts:
        yield value, {}
