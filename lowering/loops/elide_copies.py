"""elide_copies: what nothing reads again is not copied; the copy's readers get the memory itself.

    loop.call @copy(%x, %y)                     nothing touches %x later, or %y before
    loop.call @update(%part, %start, %y)   ->   loop.call @update(%part, %start, %x)

Of two buffers of the program, the copied one stays; where the copy is a result of the program, it is written from the
start. A bounded input lies in memory of the program's own, too, and may be overwritten: a bounded result can lie where
it lay, which is noted on the result's argument of `@main` (``loop.storage = 3 : i64``, the number of the input's).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.bounds import Bounds, bounds_of
from mlc.dialects.extents import is_bounded
from mlc.dialects.loop import BufferOp, CallOp, ComputeOp, KernelOp, ViewOp, YieldOp, buffer_type
from mlc.errors import ModelError
from mlc.lowering.loops.footprint import covers
from mlc.lowering.loops.plan_memory import main_of, root, roots

STORAGE = "loop.storage"
"""Attribute of a result's argument of `@main`: the number of the input in whose storage it lies."""


def storage_of(main: FuncOp, number: int) -> int:
    """The argument of ``@main`` in whose storage another lies: mostly its own. ModelError for one that is no such."""
    noted = main.arg_attrs.data[number].data.get(STORAGE) if main.arg_attrs is not None else None
    if noted is None:
        return number
    args = main.body.block.args
    found = noted.value.data if isinstance(noted, IntegerAttr) else -1
    if not 0 <= found < number or args[found].type != args[number].type:
        raise ModelError(f"{STORAGE} of argument {number} names no input of its type: {noted}")
    return found


def note(main: FuncOp, number: int, name: str, value: Attribute) -> None:
    """Note something on an argument of ``@main``."""
    noted = list(main.arg_attrs or [DictionaryAttr({})] * len(main.body.block.args))
    noted[number] = DictionaryAttr({**noted[number].data, name: value})
    main.properties["arg_attrs"] = ArrayAttr(noted)


def is_copy(kernel: KernelOp) -> bool:
    """Whether a kernel copies its first argument, element by element, to its second, and does nothing else."""
    ops, args = list(kernel.body.block.ops), kernel.args
    if len(args) != 2 or args[0].type != args[1].type or len(ops) != 1 or not isinstance(ops[0], ComputeOp):
        return False
    compute = ops[0]
    if compute.maps is None or compute.has_reduction or [*compute.operands] != [*args] or [*compute.ins] != [args[0]]:
        return False
    last = compute.finish.block.last_op
    forwards = isinstance(last, YieldOp) and [*last.operands] == [compute.finish.block.args[0]]
    source, target = (mapping.data for mapping in compute.maps)
    shape = buffer_type(args[0]).get_shape()
    return forwards and source == target and covers(source, shape, compute.dims.extents)


@dataclass
class _Touches:
    """By buffer, the numbers of the first and the last operation that touch it; ``others``: by more than calls."""

    spans: dict[SSAValue, tuple[int, int]] = field(default_factory=dict[SSAValue, "tuple[int, int]"])
    others: set[SSAValue] = field(default_factory=set[SSAValue])

    def note(self, number: int, op: Operation) -> None:
        """What one operation touches."""
        for value in (v for inner in op.walk() for v in inner.operands):
            for base in roots(value):
                first, _ = self.spans.get(base, (number, number))
                self.spans[base] = (first, number)
                if not isinstance(op, CallOp):
                    self.others.add(base)


class _Elision:
    """The copies of one program."""

    def __init__(self, main: FuncOp, kernels: Iterable[KernelOp], bounds: Bounds | None) -> None:
        self.main = main
        self.copies = {kernel.sym_name.data for kernel in kernels if is_copy(kernel)}
        args = main.body.block.args
        inputs = main.attributes["inputs"]
        assert isinstance(inputs, IntegerAttr)
        self.results = {*args[inputs.value.data :]}
        sides = (
            ((), ()) if bounds is None else (zip(args, bounds.inputs), zip(args[bounds.arguments :], bounds.outputs))
        )
        self.writable, self.stored = ({argument for argument, shape in side if is_bounded(shape)} for side in sides)
        """Inputs that nobody but the program has, and results that it copies to where they go."""
        self.numbers = {op: number for number, op in enumerate(main.body.block.ops)}
        self.touches = _Touches()
        for op, number in self.numbers.items():
            if not isinstance(op, ViewOp):
                self.touches.note(number, op)

    def run(self) -> None:
        """Every call of a copy, in order."""
        for call in [op for op in self.numbers if isinstance(op, CallOp) and op.kernel in self.copies]:
            source, target = call.args
            bases = root(source), root(target)
            if self._dies(call, source, target) and self._join(source, target):
                both = (self.touches.spans[bases[0]][0], self.touches.spans[bases[1]][1])
                self.touches.spans.update(dict.fromkeys(bases, both))
                call.detach()
                call.erase()

    def _dies(self, call: CallOp, source: SSAValue, target: SSAValue) -> bool:
        """Whether nothing touches the source later, or the target before, and calls alone do at all."""
        here, bases = self.numbers[call], (root(source), root(target))
        if any(base not in self.touches.spans or base in self.touches.others for base in bases):
            return False  # what a loop hands on, and what control flow reads
        whole = _is_whole(source) and not isinstance(target.owner, ViewOp)
        return whole and self.touches.spans[bases[0]][1] == here == self.touches.spans[bases[1]][0]

    def _join(self, source: SSAValue, target: SSAValue) -> bool:
        """Let two buffers be one, if they may."""
        base = root(source)
        if isinstance(target.owner, BufferOp) and (isinstance(base.owner, BufferOp) or base in self.writable):
            if not self._is_defined(source, target):
                return False
            target.replace_all_uses_with(source)
            target.owner.detach()
            target.owner.erase()
            return True
        if target not in self.results:
            return False
        assert isinstance(target, BlockArgument)
        if isinstance(base.owner, BufferOp):
            self._replace(base.owner, target)
            return True
        if base in self.writable and target in self.stored and base is source:
            assert isinstance(base, BlockArgument)
            note(self.main, target.index, STORAGE, IntegerAttr(base.index, i64))
            target.replace_all_uses_with(base)
            self.writable.remove(base)
            return True
        return False

    def _is_defined(self, source: SSAValue, target: SSAValue) -> bool:
        """Whether a value stands before all uses of another."""
        if isinstance(source.owner, Operation):
            at = self.numbers[source.owner]
            return all(self.numbers.get(use.operation, -1) > at for use in target.uses)
        return True

    def _replace(self, made: BufferOp, result: SSAValue) -> None:
        """A result of the program in place of a buffer."""
        if made.result.type == result.type:
            made.result.replace_all_uses_with(result)
        else:
            view = ViewOp.create(operands=[result], result_types=[made.result.type])
            block = made.parent_block()
            assert block is not None
            block.insert_op_before(view, made)
            self.numbers[view] = self.numbers[made]
            made.result.replace_all_uses_with(view.result)
        made.detach()
        made.erase()


def _is_whole(value: SSAValue) -> bool:
    """Whether a chain of views leaves a buffer as large as it is."""
    while isinstance(value.owner, ViewOp):
        if value.owner.offset is not None:
            return False
        value = value.owner.source
    return True


@dataclass(frozen=True)
class ElideCopiesPass(ModulePass):
    """What nothing reads again is not copied."""

    name = "elide-copies"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        main = main_of(op)
        if main is not None and "inputs" in main.attributes:
            _Elision(main, [k for k in op.ops if isinstance(k, KernelOp)], bounds_of(op)).run()
            _drop_unused(op)


def _drop_unused(module: ModuleOp) -> None:
    """Kernels that nothing calls any more."""
    called = {op.kernel for op in module.walk() if isinstance(op, CallOp)}
    for kernel in [k for k in module.ops if isinstance(k, KernelOp) and is_copy(k)]:
        if kernel.sym_name.data not in called:
            kernel.detach()
            kernel.erase()
