"""Code for a better processor refuses to start on a lesser one, without running an instruction that it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import f32

from mlc.codegen.targets import find_target
from mlc.dialects import hlt
from mlc.testing.cross import Emulated
from mlc.testing.kernels import program
from mlc.testing.libraries import Job, compile_module, run_libraries

OK, CPU_UNSUPPORTED = 0, 2


@pytest.mark.parametrize(
    ("machine", "target", "cpu", "status"),
    [
        ("armv7", "armv7", "cortex-a7", OK),
        ("armv7", "armv7", "cortex-a8", CPU_UNSUPPORTED),
        ("armv7", "armv7:cortex-a8", "cortex-a8", OK),
        ("armv7", "armv7:cortex-a9", "cortex-a9", OK),
        ("armv7", "armv7:cortex-a9", "cortex-a9,neon=false", CPU_UNSUPPORTED),
        ("riscv64", "riscv64", "rv64,v=false", CPU_UNSUPPORTED),
        ("riscv64", "riscv64-zvl256b", "rv64,v=false", CPU_UNSUPPORTED),
        ("riscv64", "riscv64-zvl256b", "rv64,v=true,vlen=256,vext_spec=v1.0", OK),
        ("riscv64", "riscv64-zvl256b", "rv64,v=true,vlen=128,vext_spec=v1.0", CPU_UNSUPPORTED),
    ],
)
def test_what_the_processor_lacks_is_noticed(machine: str, target: str, cpu: str, status: int, tmp_path: Path) -> None:
    kind = hlt.tensor_type((5, 19), f32)
    module = program([kind, kind], lambda b, x: b(hlt.AddOp(x[0], x[1])))
    found = Emulated.named(machine)
    emulated = replace(found, target=find_target(target), emulator=(found.emulator[0], "-cpu", cpu))
    ones = np.ones((5, 19), np.float32)
    job = Job(compile_module(module, emulated.target), [ones, ones])
    (outcome,) = run_libraries(emulated, [job], tmp_path)
    assert outcome.status == status
    assert all((output == 2).all() for output in outcome.outputs)
