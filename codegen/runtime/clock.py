"""How long calls take, noted by the threads that run them: LLVM IR text for programs that are profiled."""

from __future__ import annotations

from mlc.codegen.targets.platform import Platform

IMPORT = "clock_gettime"
ENTRY_BYTES = 16
"""i64 nanoseconds, i64 runs."""
_CLOCK_MONOTONIC = 1


def clock_ir(name: str, platform: Platform) -> str:
    """``@name_now()``, nanoseconds; ``@name_note(entry, since)`` adds the time since then, and one run."""
    long = platform.long
    wide = ("bitcast", "bitcast") if long == "i64" else ("sext", "zext")
    return f"""
declare i32 @{IMPORT}(i32, ptr) nounwind

define internal i64 @{name}_now() nounwind {platform.unwind} {{
  %time = alloca [2 x {long}], align 8
  %code = call i32 @{IMPORT}(i32 {_CLOCK_MONOTONIC}, ptr %time)
  %seconds.read = load {long}, ptr %time, align 8
  %rest.at = getelementptr {long}, ptr %time, i32 1
  %rest.read = load {long}, ptr %rest.at
  %seconds = {wide[0]} {long} %seconds.read to i64
  %rest = {wide[1]} {long} %rest.read to i64
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}}

define internal void @{name}_note(ptr %entry, i64 %since) nounwind {platform.unwind} {{
  %now = call i64 @{name}_now()
  %took = sub i64 %now, %since
  %spent = load i64, ptr %entry, align 8
  %sum = add i64 %spent, %took
  store i64 %sum, ptr %entry, align 8
  %runs.at = getelementptr i8, ptr %entry, i32 8
  %runs = load i64, ptr %runs.at, align 8
  %more = add i64 %runs, 1
  store i64 %more, ptr %runs.at, align 8
  ret void
}}
"""
