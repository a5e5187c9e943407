"""Compile a small hlt program and run it in this process: what tests of kernels compare with the reference.

module = program([tensor_type((4, 8), f32)], lambda b, v: b(hlt.ExpOp(*v)))
(y,) = run_kernels(module, [x], target="x86-64-v3")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.weights import WeightStore

Array: TypeAlias = NDArray[Any]

TARGETS = ("native", "x86-64-v3", "x86-64-v1")
"""Targets of three vector widths that kernels are tested on."""

SEALED = "0" * 64
"""The digest of weights that never leave the process."""


class Builder:
    """Appends operations to a function in the making: called with one, it returns the result (or all of several)."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def __call__(self, op: hlt.HltOp) -> Any:
        self.block.add_op(op)
        return op.results[0] if len(op.results) == 1 else op.results


Build: TypeAlias = Callable[[Builder, Sequence[SSAValue]], "SSAValue | Sequence[SSAValue]"]
"""Makes the results of a function with a builder and the function's arguments."""


def program(types: Sequence[TensorType[Any]], build: Build) -> ModuleOp:
    """A module whose ``@main`` takes ``types``; ``build(builder, arguments)`` makes the results."""
    block = Block(arg_types=types)
    made = build(Builder(block), block.args)
    results = [made] if isinstance(made, SSAValue) else list(made)
    block.add_op(ReturnOp(*results))
    signature = FunctionType.from_lists(list(types), [v.type for v in results])
    return ModuleOp([FuncOp("main", signature, Region(block))])


@dataclass
class Compiled:
    """A program loaded into this process; call it with arrays."""

    session: Any
    outputs: Sequence[Any]
    scheduled: ModuleOp = field(repr=False)

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """The outputs; raises the error of the status that the run ends with."""
        inputs = [np.ascontiguousarray(a) for a in arrays]
        outputs = [np.zeros(spec.shape, spec.dtype) for spec in self.outputs]
        self.session.run_raw([a.ctypes.data for a in inputs], [a.ctypes.data for a in outputs])
        return tuple(outputs)


def legalizing_passes() -> Iterator[ModulePass]:
    """The least that a graph needs before it becomes kernels."""
    from mlc.lowering.graph.group import GroupPass
    from mlc.lowering.graph.legalize import LegalizePass

    yield LegalizePass()
    yield GroupPass()


def compile_kernels(
    module: ModuleOp,
    *,
    target: str = "native",
    threads: int = 1,
    passes: Iterable[ModulePass] | None = None,
    weights: WeightStore | None = None,
) -> Compiled:
    """Compile ``@main`` of a module, which is consumed.

    ``passes`` take the graph to fusions (by default `legalizing_passes`). Every pass is verified.
    """
    from mlc.build import build_frame
    from mlc.codegen.artefact import Artefact
    from mlc.codegen.jit import Library, Session
    from mlc.codegen.targets import find_target
    from mlc.codegen.weights import WeightsImage
    from mlc.dialects.context import CompilerContext
    from mlc.lowering.kernels.program import lower_program
    from mlc.pass_manager import PassManager, Watch
    from mlc.pipeline import Options, loop_passes
    from mlc.registry import dialects

    found = find_target(target)
    store = WeightStore() if weights is None else weights
    manager = PassManager(CompilerContext.of(dialects(), store), Watch(verify_each=True))
    manager.run(module, legalizing_passes() if passes is None else passes)
    scheduled = lower_program(module)
    manager.run(scheduled, loop_passes(Options(found, threads)))
    main = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    frame = build_frame(
        scheduled,
        name="model",
        inputs=_named("x", main.function_type.inputs),
        outputs=_named("y", main.function_type.outputs),
        target=found,
        threads=threads > 1,
        weights_sha256=SEALED,
    )
    library = Library.load(Artefact.compile(frame.program, frame.kernels, jobs=1).shared_library())
    image = WeightsImage.allocate(frame.payload.size)
    for offset, array in frame.payload.arrays(store):
        image.payload[offset : offset + array.nbytes] = np.ascontiguousarray(array).tobytes()
    image.seal(SEALED)
    session = Session(library, "model", threads=threads, weights=image if frame.payload.size else None)
    return Compiled(session, frame.program.outputs, scheduled)


def _named(prefix: str, types: Iterable[Any]) -> list[tuple[str, str]]:
    return [(f"{prefix}{i}", str(numpy_dtype(t.element_type))) for i, t in enumerate(types)]


def run_kernels(
    module: ModuleOp,
    arrays: Sequence[Array],
    *,
    target: str = "native",
    threads: int = 1,
    weights: WeightStore | None = None,
) -> tuple[Array, ...]:
    """Compile a module and run it once."""
    return compile_kernels(module.clone(), target=target, threads=threads, weights=weights)(*arrays)
