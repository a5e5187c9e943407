"""GPU kernels without a GPU: the emitted code run on the host thread by thread, and assembled by ptxas."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from mlc.testing.require import require_module

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from mlc.codegen.targets import Target
    from mlc.dialects.loop import KernelOp

Array: TypeAlias = NDArray[Any]

_REGISTERS = re.compile(r"Used (\d+) registers")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")


@dataclass(frozen=True)
class GpuKernel:
    """A kernel emitted for a GPU, in its final form and as LLVM IR."""

    kernel: KernelOp
    target: Target
    ir: str
    module: ModuleOp

    @classmethod
    def of(cls, kernel: KernelOp, target: Target) -> GpuKernel:
        """Schedule and emit a kernel."""
        from mlc.codegen.emit.function import emit_kernel
        from mlc.testing.loops import kernel_of, lower_loops

        module = lower_loops(kernel, target)
        lowered = kernel_of(module)
        return cls(lowered, target, emit_kernel(lowered, target), module)

    @property
    def launch(self) -> dict[str, int]:
        """Blocks and threads by axis."""
        from mlc.codegen.emit.function import launch_size

        return launch_size(self.kernel)

    @property
    def ptx(self) -> str:
        """The kernel as PTX."""
        from mlc.codegen.object import compile_assembly

        return compile_assembly(self.kernel.sym_name.data, self.ir, self.target)

    def host_ir(self) -> str:
        """The same code for the host: the numbers of block and thread are parameters, pointers plain ones."""
        text = self.ir
        numbers = [f"i32 %{what}" for what in self.target.index_registers]
        text = text.replace(f"define {self.target.convention} void", "define void")
        text = re.sub(r"(define void @\w+)\(", rf"\1({', '.join(numbers)}, ", text)
        for what, intrinsic in self.target.index_registers.items():
            text = text.replace(f"call i32 @{intrinsic}()", f"add i32 %{what}, 0")
            text = text.replace(f"declare i32 @{intrinsic}()\n", "")
        text = re.sub(r"  %a(\d+) = addrspacecast .*\n", "", text)
        text = re.sub(rf"ptr addrspace\({self.target.address_space}\) noalias %p", "ptr %a", text)
        return re.sub(r"attributes #0 = .*", "attributes #0 = { nounwind }", text)

    def emulate(self, arrays: Sequence[Array]) -> None:
        """Run every thread of every block on the host, one after the other; threads are independent."""
        from mlc.codegen.targets import native_target
        from mlc.testing.loops import machine_code, passed_arrays

        name = self.kernel.sym_name.data
        library = machine_code(name, self.host_ir(), native_target())
        passed = passed_arrays(self.module, arrays)
        pointers = [a.ctypes.data for a in passed]
        signature = [*[ctypes.c_int32] * len(self.target.index_registers), *[ctypes.c_void_p] * len(pointers)]
        function = ctypes.CFUNCTYPE(None, *signature)(library.address(name))
        for numbers in product(*(range(self.launch.get(what, 1)) for what in self.target.index_registers)):
            function(*numbers, *pointers)


@dataclass(frozen=True)
class Assembled:
    """What ptxas says of a kernel: registers per thread, and bytes of stack and of spills."""

    registers: int
    stack: int
    spills: int


def assemble(ptx: str, cpu: str, folder: Path) -> Assembled:
    """Assemble PTX with the ptxas of the package nvidia-cuda-nvcc-cu12; skips the test (fails it in CI) without it.

    Raises CalledProcessError for PTX that is refused.
    """
    require_module("nvidia.cuda_nvcc")
    spec = importlib.util.find_spec("nvidia.cuda_nvcc")
    assert spec is not None and spec.submodule_search_locations
    ptxas = Path(spec.submodule_search_locations[0]) / "bin" / "ptxas"
    (folder / "kernel.ptx").write_text(ptx)
    command = [ptxas, "-v", f"-arch={cpu}", "-o", folder / "kernel.cubin", folder / "kernel.ptx"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    registers, spills = _REGISTERS.search(done.stderr), _SPILLS.search(done.stderr)
    assert registers is not None and spills is not None
    return Assembled(int(registers[1]), int(spills[1]), int(spills[2]) + int(spills[3]))
