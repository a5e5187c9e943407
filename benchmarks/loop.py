"""How long a compiled model takes seen from machine code: without Python, and without what a call from it costs."""

import ctypes
import time
from collections.abc import Callable
from typing import Any

from mlc.codegen.elf import parse_object
from mlc.codegen.jit import Library
from mlc.codegen.link import link_shared
from mlc.codegen.object import compile_ir
from mlc.codegen.targets import find_target

LOOP = """
define void @call_often(ptr %function, ptr %argument, i64 %n) nounwind {
entry:
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %next, %loop ]
  %status = call i32 %function(ptr %argument)
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def seconds_per_call(net: Any, feeds: dict[str, Any], outputs: dict[str, Any], number: int = 2000) -> float:
    """The least seconds of a run of ``net`` (without symbolic dims) over 20 loops of ``number`` runs."""
    (data,) = compile_ir([("call_often", LOOP)], find_target(), jobs=1)
    library = Library.load(link_shared([parse_object(data)], exports=("call_often",)), "mlc-loop")
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    loop: Callable[[int, int, int], None] = signature(library.address("call_often"))
    step = net.bind(feeds, outputs)
    session = net.executable.session
    function = session.library.address(f"{session.name}_run_frame")
    frame = step.args[0].value
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        loop(function, frame, number)
        best = min(best, (time.perf_counter() - start) / number)
    return best
