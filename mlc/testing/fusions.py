"""A model kernel by kernel: the other half of ``mlc verify``, which finds where a result goes wrong.

Each group of operations that becomes one kernel is compiled alone and run on mlc's own inputs to it; what comes out
is compared with the reference of the same group on the same inputs. So an error shows where it is made, not where it
has grown visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from mlc import pipeline
from mlc.build import Frame, build_frame
from mlc.codegen.image import Image
from mlc.codegen.jit import Library, Session
from mlc.codegen.object import compile_ir
from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.hlt.layout import LayoutAttr
from mlc.dialects.interpreters import evaluate, run_control, run_function
from mlc.dialects.weights_attr import WeightAttr
from mlc.driver import Built, pack_weights
from mlc.lowering.kernels.program import lower_program
from mlc.model import numpy_dtype as numpy_type
from mlc.testing.layouts import from_memory, to_memory
from mlc.testing.models import Tolerance, Verdict, compare
from mlc.testing.sums import run_summing

if TYPE_CHECKING:
    from mlc.dialects.weights import WeightStore
    from mlc.driver import Compilation

Array: TypeAlias = NDArray[Any]
NAME = "fusion"


@dataclass
class Lowered:
    """A fusion alone: its operations as a program in tensors, and its kernels' IR."""

    module: ModuleOp
    frame: Frame


@dataclass
class Kernel:
    """A fusion's program in tensors, and its code."""

    module: ModuleOp
    session: Session
    frame: Frame

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs in memory order, of inputs in memory order."""
        outputs = [np.zeros(spec.shape, numpy_type(spec.dtype)) for spec in self.frame.program.outputs]
        self.session.run_raw([a.ctypes.data for a in arrays], [a.ctypes.data for a in outputs])
        return outputs


def verify_fusions(
    compilation: Compilation, arrays: Sequence[Array], tolerance: Tolerance | None = None
) -> Iterator[Verdict]:
    """A verdict per result of each kernel of the model, in order, as each has run.

    ``compilation`` goes on to stage ``fused``; ``arrays`` are the model's inputs in order.
    """
    block = _main(compilation.advance("fused").module).body.block
    kernels = _compile(
        compilation, [op for b in hlt.blocks_within(block) for op in b.ops if isinstance(op, hlt.FusionOp)]
    )
    values: dict[SSAValue, Array] = dict(zip(block.args, arrays))
    last_use = {operand: op for op in block.ops for operand in (*op.operands, *hlt.captured(op))}
    for op in block.ops:
        if isinstance(op, hlt.FusionOp):
            outputs, verdicts = _run(op, kernels[op], values, compilation.weights, tolerance)
            yield from verdicts
            values.update(zip(op.outputs, outputs))
        elif isinstance(op, hlt.ConstantOp):
            uses = [use.operation for use in op.result.uses]
            if not all(isinstance(user, hlt.FusionOp) and user.parent is block for user in uses):
                values[op.result] = _constant(op, compilation.weights)
        elif isinstance(op, hlt.ControlOp):
            yield from _run_control(op, kernels, values, compilation.weights, tolerance)
        elif not isinstance(op, ReturnOp):
            values.update(zip(op.results, evaluate(op, [values[v] for v in op.operands])))
        for value in (*op.operands, *hlt.captured(op)):
            if last_use[value] is op:
                values.pop(value, None)


def _compile(compilation: Compilation, fusions: Sequence[hlt.FusionOp]) -> dict[hlt.FusionOp, Kernel]:
    """The code of each fusion; what is the same text is compiled once."""
    lowered = {fusion: _lower(compilation, fusion) for fusion in fusions}
    distinct = {ir: name for one in lowered.values() for name, ir in one.frame.kernels}
    texts = [(name, ir) for ir, name in distinct.items()]
    objects = dict(zip(distinct, compile_ir(texts, compilation.options.target)))
    kernels: dict[hlt.FusionOp, Kernel] = {}
    for fusion, one in lowered.items():
        weights = pack_weights(one.frame, compilation.weights, None)
        built = Built.of(one.frame.program, [objects[ir] for _, ir in one.frame.kernels], weights)
        library = Library.load(Image((built.library(),)))
        session = Session(library, NAME, weights=weights, threads=compilation.options.threads)
        kernels[fusion] = Kernel(one.module, session, one.frame)
    return kernels


def _lower(compilation: Compilation, fusion: hlt.FusionOp) -> Lowered:
    """The fusion as a program of its own, down to LLVM IR."""
    program = lower_program(isolate(fusion))
    pipeline.to_scheduled(program, compilation.manager, compilation.options)
    frame = build_frame(
        program,
        name=NAME,
        inputs=_named("in", _variables(fusion)),
        outputs=_named("out", fusion.outputs),
        target=compilation.options.target,
        threads=compilation.options.threads > 1,
    )
    return Lowered(isolate(fusion, inlined=True), frame)


def _named(prefix: str, values: Sequence[SSAValue]) -> list[tuple[str, str]]:
    return [(f"{prefix}{i}", str(numpy_dtype(hlt.element_of(v)))) for i, v in enumerate(values)]


def isolate(fusion: hlt.FusionOp, *, inlined: bool = False) -> ModuleOp:
    """A module whose ``@main`` is one fusion, or its operations; the constants that it reads are constants there."""
    inputs = _variables(fusion)
    block = Block(arg_types=[v.type for v in inputs])
    mapper: dict[SSAValue, SSAValue] = dict(zip(inputs, block.args))
    for value in dict.fromkeys(fusion.inputs):
        if isinstance(value.owner, hlt.ConstantOp):
            clone = value.owner.clone()
            mapper[value] = clone.result
            block.add_op(clone)
    if inlined:
        mapper |= {argument: mapper[v] for argument, v in zip(fusion.body.block.args, fusion.inputs)}
        block.add_ops([op.clone(mapper) for op in fusion.members])
        results = [mapper[v] for v in fusion.terminator.operands]
    else:
        copy = fusion.clone(mapper)
        block.add_op(copy)
        results = list(copy.outputs)
    block.add_op(ReturnOp(*results))
    signature = FunctionType.from_lists([v.type for v in inputs], [v.type for v in results])
    return ModuleOp([FuncOp("main", signature, Region(block))])


def _variables(fusion: hlt.FusionOp) -> list[SSAValue]:
    """What a fusion reads that is no constant, each once."""
    return [v for v in dict.fromkeys(fusion.inputs) if not isinstance(v.owner, hlt.ConstantOp)]


def _run(
    fusion: hlt.FusionOp,
    kernel: Kernel,
    values: dict[SSAValue, Array],
    weights: WeightStore,
    tolerance: Tolerance | None,
) -> tuple[list[Array], list[Verdict]]:
    """mlc's outputs of one fusion as logical tensors, and how they compare."""
    arguments = [values[v] for v in _variables(fusion)]
    raw = kernel.run([_physical(values[v], v) for v in _variables(fusion)])
    outputs = [_logical(array, value) for array, value in zip(raw, fusion.outputs)]

    def weight(attr: WeightAttr, _: object) -> Array:
        return weights.array(attr.key.data)

    expected, largest = run_summing(kernel.module, arguments, weight)
    plain = run_function(kernel.module, arguments, weights=weight, plain=True)
    names = [_label(fusion, index) for index in range(len(outputs))]
    verdicts = [
        compare(name, actual, wide, plain=narrow, tolerance=tolerance, largest=largest)
        for name, actual, wide, narrow in zip(names, outputs, expected, plain)
    ]
    return outputs, verdicts


def _run_control(
    op: hlt.ControlOp,
    kernels: dict[hlt.FusionOp, Kernel],
    values: dict[SSAValue, Array],
    weights: WeightStore,
    tolerance: Tolerance | None,
) -> list[Verdict]:
    """Run control flow, adding its results to ``values``; a verdict per result of each kernel each time it runs."""
    found: list[Verdict] = []

    def weight(attr: WeightAttr, _: object) -> Array:
        return weights.array(attr.key.data)

    def run(fusion: hlt.FusionOp, operands: Sequence[Array]) -> tuple[Array, ...]:
        given = dict(zip(fusion.inputs, operands))
        outputs, verdicts = _run(fusion, kernels[fusion], given, weights, tolerance)
        found.extend(verdicts)
        return tuple(outputs)

    values.update(zip(op.results, run_control(op, values, weights=weight, fusion=run)))
    return found


def _label(fusion: hlt.FusionOp, index: int) -> str:
    """The ONNX nodes of a fusion; the number of the result where there are several."""
    return hlt.node_name(fusion) + (f" result {index}" if len(fusion.outputs) > 1 else "")


def _constant(op: hlt.ConstantOp, weights: WeightStore) -> Array:
    if isinstance(op.value, WeightAttr):
        return weights.array(op.value.key.data)
    array = hlt.constant_value(op)
    assert array is not None, "a constant is a weight or stands in the IR"
    return array


def _physical(array: Array, value: SSAValue) -> Array:
    layout = _layout(value)
    return np.ascontiguousarray(array) if layout is None else to_memory(array, layout)


def _logical(array: Array, value: SSAValue) -> Array:
    layout = _layout(value)
    return array if layout is None else from_memory(array, layout, hlt.shape_of(value))


def _layout(value: SSAValue) -> LayoutAttr | None:
    encoding = getattr(value.type, "encoding", None)
    return encoding if isinstance(encoding, LayoutAttr) else None


def _main(module: ModuleOp) -> FuncOp:
    return next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
