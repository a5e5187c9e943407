"""Compile one `loop.kernel` and run it in this process: what tests of schedules and code generation use.

compiled = compile_loop(kernel, target="x86-64-v3")
compiled(x, w, y, threads=2)
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import FunctionType, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, BlockArgument, Region, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.hlt.dtypes import numpy_dtype
from mlc.dialects.interpreters.loop import run_kernel
from mlc.dialects.loop import BufferOp, CallOp, ConstantOp, KernelOp, PackOp, buffer_type
from mlc.dialects.weights_attr import WeightAttr

if TYPE_CHECKING:
    from mlc.codegen.jit import Library
    from mlc.codegen.targets import Target

Array: TypeAlias = NDArray[Any]

_SEALED = "0" * 64


def loop_program(kernel: KernelOp) -> ModuleOp:
    """A module with a copy of the kernel and a ``@main`` that calls it once, its constant arguments as weights."""
    copy = kernel.clone()
    constants = {a.index for a in copy.constant_args}
    types: list[Any] = [a.type for a in copy.args]
    block = Block(arg_types=[t for i, t in enumerate(types) if i not in constants])
    given = iter(block.args)
    values: list[SSAValue] = []
    for i, type_ in enumerate(types):
        if i in constants:
            made = ConstantOp.create(properties={"value": WeightAttr(f"w{i}", _SEALED)}, result_types=[type_])
            block.add_op(made)
            values.append(made.result)
        else:
            values.append(next(given))
    block.add_op(CallOp.make(copy.sym_name.data, values))
    block.add_op(ReturnOp())
    main = FuncOp("main", FunctionType.from_lists([a.type for a in block.args], []), Region(block))
    main.attributes["inputs"] = IntegerAttr(len(block.args), i64)
    return ModuleOp([copy, main])


def lower_loops(
    kernel: KernelOp, target: Target, *, threads: int = 1, passes: Iterable[ModulePass] | None = None
) -> ModuleOp:
    """The program of a kernel after the passes of the pipeline (or ``passes``), verified after each."""
    from mlc.pass_manager import PassManager, Watch
    from mlc.pipeline import Options, loop_passes
    from mlc.registry import make_context

    module = loop_program(kernel)
    chosen = loop_passes(Options(target, threads)) if passes is None else passes
    PassManager(make_context(), Watch(verify_each=True)).run(module, chosen)
    return module


def kernel_of(module: ModuleOp) -> KernelOp:
    """The kernel of a `loop_program`."""
    return next(op for op in module.ops if isinstance(op, KernelOp))


def passed_arrays(module: ModuleOp, arrays: Sequence[Array]) -> list[Array]:
    """What the call of a `loop_program` passes for the kernel's arguments, constants packed as it says."""
    call = next(op for op in module.walk() if isinstance(op, CallOp))
    constants = {f"w{i}": a for i, a in enumerate(arrays)}
    weights = {_weight(op) for op in module.walk() if isinstance(op, ConstantOp)}
    variables = [a for name, a in constants.items() if name not in weights]

    def passed(value: SSAValue) -> Array:
        from mlc.lowering.loops.pack import pack_array

        owner = value.owner
        if isinstance(value, BlockArgument):
            return variables[value.index]
        if isinstance(owner, PackOp):
            return pack_array(owner, passed(owner.source))
        assert isinstance(owner, ConstantOp)
        return constants[_weight(owner)]

    return [np.require(passed(v), requirements="C") for v in call.args]


def run_calls(module: ModuleOp, arrays: Sequence[Array]) -> None:
    """Run all calls of a `loop_program` that is not scheduled yet by the kernels' reference meaning.

    ``arrays`` are those of the kernel as it was given; what it writes changes in place. Buffers start as NaN.
    """
    kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
    constants = [f"w{i}" for i in range(len(arrays))]
    weights = {_weight(op) for op in module.walk() if isinstance(op, ConstantOp)}
    memory: dict[SSAValue, Array] = {}
    main = next(op for op in module.ops if isinstance(op, FuncOp))
    memory.update(zip(main.body.block.args, [a for name, a in zip(constants, arrays) if name not in weights]))
    for op in main.body.block.ops:
        if isinstance(op, ConstantOp):
            memory[op.result] = arrays[constants.index(_weight(op))]
        elif isinstance(op, BufferOp):
            type_ = buffer_type(op.result)
            memory[op.result] = np.full(type_.get_shape(), np.nan, numpy_dtype(type_.element_type))
        elif isinstance(op, CallOp):
            run_kernel(kernels[op.kernel], [memory[v] for v in op.args])


def _weight(op: ConstantOp) -> str:
    assert isinstance(op.value, WeightAttr)
    return op.value.key.data


def machine_code(name: str, ir: str, target: Target) -> Library:
    """A module's machine code, loaded, with the function ``name`` exported."""
    from mlc.codegen.elf import parse_object
    from mlc.codegen.jit import Library
    from mlc.codegen.link import link_shared
    from mlc.codegen.object import compile_ir

    objects = [parse_object(data) for data in compile_ir([(name, ir)], target, jobs=1)]
    return Library.load(link_shared(objects, exports=[name]))


@dataclass
class CompiledLoop:
    """A kernel in machine code."""

    module: ModuleOp = field(repr=False)
    ir: str = field(repr=False)
    library: Library = field(repr=False)

    @property
    def kernel(self) -> KernelOp:
        """The kernel in its final form."""
        return kernel_of(self.module)

    def __call__(self, *arrays: Array, threads: int = 1) -> None:
        """Run on dense arrays, one per argument of the kernel as it was given; the threads run one by one."""
        for thread in range(threads):
            self.run_thread(arrays, thread, threads)

    def run_thread(self, arrays: Sequence[Array], thread: int, threads: int) -> None:
        """Run one thread's share."""
        passed = passed_arrays(self.module, arrays)
        signature = [*[ctypes.c_void_p] * len(passed), ctypes.c_int64, ctypes.c_int64]
        function = ctypes.CFUNCTYPE(None, *signature)(self.library.address(self.kernel.sym_name.data))
        function(*(a.ctypes.data for a in passed), thread, threads)


def compile_loop(
    kernel: KernelOp, *, target: str = "native", threads: int = 1, passes: Iterable[ModulePass] | None = None
) -> CompiledLoop:
    """Compile a copy of a kernel whose schedules are given or, failing that, chosen for ``target``."""
    from mlc.codegen.emit.function import emit_kernel
    from mlc.codegen.targets import find_target

    machine = find_target(target)
    module = lower_loops(kernel, machine, threads=threads, passes=passes)
    lowered = kernel_of(module)
    ir = emit_kernel(lowered, machine)
    return CompiledLoop(module, ir, machine_code(lowered.sym_name.data, ir, machine))


def guarded(array: Array, margin: int = 256) -> tuple[Array, Array]:
    """A copy of an array with ``margin`` bytes of a pattern on either side, and the bytes of all that memory."""
    memory = np.full(array.nbytes + 2 * margin + 64, 0xA5, np.uint8)
    start = margin + (-(memory.ctypes.data + margin) % 64)
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy, memory


def intact(array: Array, memory: Array) -> bool:
    """Whether the bytes around an array made by `guarded` still hold the pattern."""
    start = array.ctypes.data - memory.ctypes.data
    return bool(np.all(memory[:start] == 0xA5) and np.all(memory[start + array.nbytes :] == 0xA5))
