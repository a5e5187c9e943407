"""From a grouped graph to a loop program: one kernel per distinct fusion, one call per fusion."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager

from xdsl.dialects.builtin import DenseArrayBase, FunctionType, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, OpResult, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.bounds import Bounds, bounds_of
from mlc.dialects.loop import STATUS, BufferOp, CallOp, ConstantOp, KernelOp, StatusOp, ViewOp
from mlc.errors import InternalError
from mlc.lowering.kernels import lower_fusion
from mlc.lowering.kernels.builder import KernelBuilder, Place, Splat, ids, memref_type, result_dims, splat_of
from mlc.lowering.kernels.contraction import ACCUMULATE
from mlc.lowering.kernels.control import lower_if, lower_loop
from mlc.lowering.kernels.external import lower_call_c
from mlc.lowering.kernels.index import update_slice
from mlc.lowering.kernels.placement import Home, find_homes, find_input_homes, is_concat, is_pad, is_update


class ProgramBuilder:
    """Builds the loop-level module of one grouped ``@main``."""

    def __init__(self, main: FuncOp, bounds: Bounds | None) -> None:
        self.main = main
        terminator = main.body.block.last_op
        assert isinstance(terminator, ReturnOp)
        self.returned = list(terminator.operands)
        arguments = main.body.block.args
        self.homes: dict[SSAValue, Home] = {}
        """The tensors that lie inside others."""
        if bounds is not None:
            self.homes.update(find_input_homes(arguments, bounds.inputs, self.returned))
        held = [self.homes[a].whole if a in self.homes else a for a in arguments]
        inputs = [memref_type(value.type) for value in held]
        outputs = [memref_type(v.type) for v in self.returned]
        self.top = Block(arg_types=[*inputs, *outputs])
        self.block = self.top
        """Where operations are appended."""
        self.inputs = len(inputs)
        self.memrefs: dict[SSAValue, SSAValue] = dict(zip(held, self.block.args))
        self.kernels: dict[Hashable, KernelOp] = {}
        self.status: SSAValue | None = None
        self.targets: dict[SSAValue, SSAValue] = {}

    def build(self) -> ModuleOp:
        """The module: kernels first, then ``@main`` over buffers."""
        self.run(self.main.body.block, self.returned, self.top.args[self.inputs :])
        self.top.add_op(ReturnOp())
        types = [a.type for a in self.top.args]
        main = FuncOp("main", FunctionType.from_lists(types, []), Region(self.top))
        main.attributes["inputs"] = IntegerAttr(self.inputs, i64)
        return ModuleOp([*self.kernels.values(), main])

    def run(self, source: Block, results: Sequence[SSAValue], places: Sequence[SSAValue]) -> None:
        """Append the operations of a block, such that its ``results`` end up in these ``places``."""
        for value, place in zip(results, places, strict=True):
            if _may_target(value, source):
                self.targets.setdefault(value, place)
        fusions = [op for op in source.ops if isinstance(op, hlt.FusionOp)]
        self.homes.update(find_homes(fusions, (*results, *self.memrefs)))
        for op in source.ops:
            self._operation(op)
        for value, place in zip(results, places, strict=True):
            if self.targets.get(value) is not place:
                self.copy(value, place)

    @contextmanager
    def inside(self, block: Block) -> Generator[None]:
        """Append to ``block`` meanwhile."""
        around, self.block = self.block, block
        yield
        self.block = around

    def _operation(self, op: Operation) -> None:
        match op:
            case ReturnOp() | hlt.YieldOp():
                return
            case hlt.FusionOp():
                self._fusion(op)
            case hlt.ConstantOp():
                self._constant(op)
            case hlt.ReshapeOp() | hlt.WordsOp():
                self._view(op)
            case hlt.CallCOp():
                self._call_c(op)
            case hlt.IfOp():
                lower_if(self, op)
            case hlt.LoopOp():
                lower_loop(self, op)
            case _:
                raise InternalError(f"{op.name} is in no fusion", node=hlt.node_name(op))

    def _constant(self, op: hlt.ConstantOp) -> None:
        made = ConstantOp.create(
            properties={"value": op.value},
            result_types=[memref_type(op.result.type)],
        )
        self.block.add_op(made)
        self.memrefs[op.result] = made.result

    def _view(self, op: hlt.ReshapeOp | hlt.WordsOp) -> None:
        made = ViewOp.create(
            operands=[self.memrefs[op.x]],
            result_types=[memref_type(op.result.type)],
        )
        self.block.add_op(made)
        self.memrefs[op.result] = made.result

    def _fusion(self, op: hlt.FusionOp) -> None:
        places = [self._place(v, op) for v in (*op.inputs, *op.outputs)]
        if (is_concat(op) or is_pad(op)) and all(p and p.done for p in places[: len(op.inputs)]):
            self.memory(op.outputs[0])
            return
        if is_update(op):
            self._update(op, places)
            return
        self._call(self._kernel(op, places), (*op.inputs, *op.outputs), op)

    def _call(self, kernel: KernelOp, values: Sequence[SSAValue], op: hlt.FusionOp) -> None:
        """Runs the kernel of a fusion."""
        args = [self.memory(v) for v in values]
        if kernel.checked is not None:
            args.append(self._status())
        call = CallOp.make(kernel.sym_name.data, args)
        if "hlt.node" in op.attributes:
            call.attributes["hlt.node"] = op.attributes["hlt.node"]
        self.block.add_op(call)

    def _update(self, op: hlt.FusionOp, places: Sequence[Place | None]) -> None:
        """A copy, which nobody has to make of what isn't read again (`elide-copies`), and the update in it."""
        member, result = op.members[0], op.outputs[0]
        assert isinstance(member, hlt.UpdateSliceOp)
        outer: dict[SSAValue, SSAValue] = dict(zip(op.body.block.args, op.inputs))
        self.copy(outer[member.x], self.memory(result))
        if 0 in hlt.shape_of(member.update):
            return
        inside = [member.update, member.start]
        lies: dict[SSAValue, Place | None] = dict(zip(op.body.block.args, places))
        here = [lies[argument] for argument in inside]
        key = ("update", signature(op), tuple(here))
        found = self.kernels.get(key)
        if found is None:
            name = f"k{len(self.kernels)}_update_slice"
            builder = KernelBuilder(name, inside, [member.result], op.result_types, [*here, None])
            update_slice(builder, member)
            found = self.kernels[key] = builder.kernel()
        self._call(found, [*(outer[v] for v in inside), result], op)

    def _call_c(self, op: hlt.CallCOp) -> None:
        kernel = lower_call_c(op, f"k{len(self.kernels)}_call_c")
        self.kernels[op] = kernel
        args = [self.memory(value) for value in (*op.inputs, *op.outputs)]
        call = CallOp.make(kernel.sym_name.data, [*args, self._status()])
        if "hlt.node" in op.attributes:
            call.attributes["hlt.node"] = op.attributes["hlt.node"]
        self.block.add_op(call)

    def _place(self, value: SSAValue, user: hlt.FusionOp) -> Place | None:
        """Where a kernel finds a tensor that lies inside another, unless that looks as if it lay alone."""
        home = self.homes.get(value)
        if home is None:
            return None
        done = any(home.whole is v for v in user.outputs)
        if home.offset is None:
            return Place(home.whole.type, home.origin, done)
        return Place(value.type, (0,) * len(home.origin), True) if done else None

    def _kernel(self, op: hlt.FusionOp, places: Sequence[Place | None]) -> KernelOp:
        """The kernel of a fusion; fusions that do the same share one."""
        key = (signature(op), tuple(places))
        found = self.kernels.get(key)
        if found is None:
            found = self.kernels[key] = lower_fusion(op, f"k{len(self.kernels)}_{_hint(op)}", places)
            weights = [i for i, v in enumerate(op.inputs) if _is_weight(v)]
            if weights:
                found.properties["weights"] = DenseArrayBase.from_list(i64, weights)
        return found

    def _status(self) -> SSAValue:
        """The status word, which all kernels that check share."""
        if self.status is None:
            made = StatusOp.create(result_types=[STATUS])
            first = self.top.first_op
            self.top.insert_op_before(made, first) if first else self.top.add_op(made)
            self.status = made.result
        return self.status

    def memory(self, value: SSAValue) -> SSAValue:
        """The memory of a tensor, allocated when first asked for; of one that lies spread in another, the other's."""
        found = self.memrefs.get(value)
        if found is not None:
            return found
        home = self.homes.get(value)
        if home is not None:
            found = self.memory(home.whole)
            if home.offset is not None:
                found = self._part(found, value, home.offset)
        else:
            found = self.targets.get(value) or self.buffer(value)
        self.memrefs[value] = found
        return found

    def _part(self, whole: SSAValue, value: SSAValue, offset: int) -> SSAValue:
        made = ViewOp.create(
            operands=[whole],
            result_types=[memref_type(value.type)],
            properties={"offset": IntegerAttr(offset, i64)},
        )
        self.block.add_op(made)
        return made.result

    def buffer(self, value: SSAValue) -> SSAValue:
        """New memory for a tensor."""
        made = BufferOp.create(result_types=[memref_type(value.type)])
        self.block.add_op(made)
        return made.result

    def clear(self, value: SSAValue) -> None:
        """Zeros in the memory of a tensor."""
        key = ("clear", value.type)
        found = self.kernels.get(key)
        if found is None:
            builder = KernelBuilder(f"k{len(self.kernels)}_clear", [], [value], [value.type])
            out = builder.outputs[value]
            builder.fill(out, Splat(0, out.element))
            found = self.kernels[key] = builder.kernel()
        self.block.add_op(CallOp.make(found.sym_name.data, [self.memory(value)]))

    def copy(self, value: SSAValue, place: SSAValue) -> None:
        """A value to where no kernel wrote it: an input, a constant, a view, or a second mention."""
        key = ("copy", value.type)
        found = self.kernels.get(key)
        if found is None:
            builder = KernelBuilder(f"k{len(self.kernels)}_copy", [value], [value], [value.type])
            out = builder.outputs[value]
            dims = result_dims(out.shape)
            builder.compute([(builder.source(value), ids(dims))], [(out, ids(dims))], dims, finish=lambda s, x: x)
            found = self.kernels[key] = builder.kernel()
        self.block.add_op(CallOp.make(found.sym_name.data, [self.memrefs[value], place]))


def _may_target(value: SSAValue, block: Block) -> bool:
    """Whether what makes a value, if it stands in ``block``, can write it to a given place."""
    maker = value.owner
    if not isinstance(maker, Operation) or maker.parent is not block:
        return False
    if isinstance(maker, hlt.LoopOp):
        return isinstance(value, OpResult) and value.index >= len(maker.inits)
    return isinstance(maker, hlt.CallCOp | hlt.FusionOp | hlt.IfOp)


def signature(op: hlt.FusionOp) -> Hashable:
    """What a fusion computes, whatever its operands are: equal signatures get one kernel."""
    numbers: dict[SSAValue, int] = {a: i for i, a in enumerate(op.body.block.args)}
    lines: list[Hashable] = []
    for inner in op.body.block.ops:
        for result in inner.results:
            numbers[result] = len(numbers)
        operands = tuple(numbers[v] for v in inner.operands)
        properties = tuple(sorted(inner.properties.items()))
        lines.append((inner.name, operands, properties, ACCUMULATE in inner.attributes, tuple(inner.result_types)))
    inputs = tuple((v.type, _is_weight(v)) for v in op.inputs)
    return inputs, tuple(op.result_types), tuple(lines)


def _is_weight(value: SSAValue) -> bool:
    return isinstance(value.owner, hlt.ConstantOp)


def _hint(op: hlt.FusionOp) -> str:
    """A readable part of a kernel's name: its heaviest operation."""
    names = [o.name.removeprefix("hlt.") for o in op.members if splat_of(o) is None]
    heavy = ("conv", "conv_words", "dot_general", "dot_words", "attention", "softmax", "layer_norm")
    heavy += ("reduce_window", "reduce", "concat", "pad")
    for name in heavy:
        if name in names:
            return name
    return names[-1] if names else "empty"


def lower_program(module: ModuleOp) -> ModuleOp:
    """The loop program of a grouped graph; raises UnsupportedError for what has no kernel."""
    main = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    return ProgramBuilder(main, bounds_of(module)).build()
