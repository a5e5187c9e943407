"""From a grouped graph to a loop program: one kernel per distinct fusion, one call per fusion."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from xdsl.dialects.builtin import DenseArrayBase, FunctionType, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.loop import STATUS, BufferOp, CallOp, ConstantOp, KernelOp, StatusOp, ViewOp
from mlc.errors import InternalError
from mlc.lowering.kernels import lower_fusion
from mlc.lowering.kernels.builder import KernelBuilder, Place, ids, memref_type, result_dims, splat_of
from mlc.lowering.kernels.placement import find_homes, is_concat


class ProgramBuilder:
    """Builds the loop-level module of one grouped ``@main``."""

    def __init__(self, main: FuncOp) -> None:
        self.main = main
        terminator = main.body.block.last_op
        assert isinstance(terminator, ReturnOp)
        self.returned = list(terminator.operands)
        inputs = [memref_type(a.type) for a in main.body.block.args]
        outputs = [memref_type(v.type) for v in self.returned]
        self.block = Block(arg_types=[*inputs, *outputs])
        self.inputs = len(inputs)
        self.memrefs: dict[SSAValue, SSAValue] = dict(zip(main.body.block.args, self.block.args))
        self.kernels: dict[Hashable, KernelOp] = {}
        self.status: SSAValue | None = None
        self.targets: dict[SSAValue, SSAValue] = {}
        for value, argument in zip(self.returned, self.block.args[self.inputs :]):
            if isinstance(value.owner, hlt.FusionOp) and value not in self.targets:
                self.targets[value] = argument
        fusions = [op for op in main.body.block.ops if isinstance(op, hlt.FusionOp)]
        self.homes = find_homes(fusions, self.returned)

    def build(self) -> ModuleOp:
        """The module: kernels first, then ``@main`` over buffers."""
        for op in self.main.body.block.ops:
            self._operation(op)
        for value, argument in zip(self.returned, self.block.args[self.inputs :]):
            if self.targets.get(value) is not argument:
                self._copy(value, argument)
        self.block.add_op(ReturnOp())
        types = [a.type for a in self.block.args]
        main = FuncOp("main", FunctionType.from_lists(types, []), Region(self.block))
        main.attributes["inputs"] = IntegerAttr(self.inputs, i64)
        return ModuleOp([*self.kernels.values(), main])

    def _operation(self, op: Operation) -> None:
        if isinstance(op, ReturnOp):
            return
        if isinstance(op, hlt.FusionOp):
            self._fusion(op)
        elif isinstance(op, hlt.ConstantOp):
            self._constant(op)
        elif isinstance(op, hlt.ReshapeOp):
            self._view(op)
        else:
            raise InternalError(f"{op.name} is in no fusion", node=hlt.node_name(op))

    def _constant(self, op: hlt.ConstantOp) -> None:
        made = ConstantOp.create(
            properties={"value": op.value},
            result_types=[memref_type(op.result.type)],
        )
        self.block.add_op(made)
        self.memrefs[op.result] = made.result

    def _view(self, op: hlt.ReshapeOp) -> None:
        made = ViewOp.create(
            operands=[self.memrefs[op.x]],
            result_types=[memref_type(op.result.type)],
        )
        self.block.add_op(made)
        self.memrefs[op.result] = made.result

    def _fusion(self, op: hlt.FusionOp) -> None:
        places = [self._place(v, op) for v in (*op.inputs, *op.outputs)]
        if is_concat(op) and all(p and p.done for p in places[: len(op.inputs)]):
            self._memory(op.outputs[0])
            return
        kernel = self._kernel(op, places)
        args = [self._memory(v) for v in (*op.inputs, *op.outputs)]
        if kernel.checked is not None:
            args.append(self._status())
        call = CallOp.make(kernel.sym_name.data, args)
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
            self.block.add_op(made)
            self.status = made.result
        return self.status

    def _memory(self, value: SSAValue) -> SSAValue:
        """The memory of a tensor, allocated when first asked for; of one that lies spread in another, the other's."""
        found = self.memrefs.get(value)
        if found is not None:
            return found
        home = self.homes.get(value)
        if home is not None:
            found = self._memory(home.whole)
            if home.offset is not None:
                found = self._part(found, value, home.offset)
        else:
            found = self.targets.get(value) or self._buffer(value)
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

    def _buffer(self, value: SSAValue) -> SSAValue:
        made = BufferOp.create(result_types=[memref_type(value.type)])
        self.block.add_op(made)
        return made.result

    def _copy(self, value: SSAValue, argument: SSAValue) -> None:
        """A returned value that no kernel wrote there: an input, a constant, a view, or a second mention."""
        key = ("copy", value.type)
        found = self.kernels.get(key)
        if found is None:
            builder = KernelBuilder(f"k{len(self.kernels)}_copy", [value], [value], [value.type])
            out = builder.outputs[value]
            dims = result_dims(out.shape)
            builder.compute([(builder.source(value), ids(dims))], [(out, ids(dims))], dims, finish=lambda s, x: x)
            found = self.kernels[key] = builder.kernel()
        self.block.add_op(CallOp.make(found.sym_name.data, [self.memrefs[value], argument]))


def signature(op: hlt.FusionOp) -> Hashable:
    """What a fusion computes, whatever its operands are: equal signatures get one kernel."""
    numbers: dict[SSAValue, int] = {a: i for i, a in enumerate(op.body.block.args)}
    lines: list[Hashable] = []
    for inner in op.body.block.ops:
        for result in inner.results:
            numbers[result] = len(numbers)
        operands = tuple(numbers[v] for v in inner.operands)
        properties = tuple(sorted(inner.properties.items()))
        lines.append((inner.name, operands, properties, tuple(inner.result_types)))
    inputs = tuple((v.type, _is_weight(v)) for v in op.inputs)
    return inputs, tuple(op.result_types), tuple(lines)


def _is_weight(value: SSAValue) -> bool:
    return isinstance(value.owner, hlt.ConstantOp)


def _hint(op: hlt.FusionOp) -> str:
    """A readable part of a kernel's name: its heaviest operation."""
    names = [o.name.removeprefix("hlt.") for o in op.members if splat_of(o) is None]
    heavy = ("conv", "dot_general", "attention", "softmax", "layer_norm", "reduce_window", "reduce", "concat", "pad")
    for name in heavy:
        if name in names:
            return name
    return names[-1] if names else "empty"


def lower_program(module: ModuleOp) -> ModuleOp:
    """The loop program of a grouped graph; raises UnsupportedError for what has no kernel."""
    main = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    return ProgramBuilder(main).build()
