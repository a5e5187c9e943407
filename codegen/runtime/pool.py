"""The thread pool as LLVM IR text: one fork per call, a barrier between steps, no lock and no allocation.

Three events carry it, each a counter that only rises and a number of sleepers: ``fork`` starts the workers on
the next call, ``barrier`` separates the steps, ``done`` tells the caller that the workers have left.
``signal`` adds one and, if that reaches the target and somebody sleeps, wakes them; ``await`` spins for a
while and then sleeps on a futex until the target is reached. The sleeper first announces itself and then
looks at the counter again; the signaller first counts and then looks for sleepers: with sequentially
consistent order no wake-up is lost.

Workers inherit the affinity of the thread that calls NAME_init and block the signals that a process handles,
as those belong to the program's own threads. Needed of the C library: pthread_create, pthread_join, syscall.
"""

from __future__ import annotations

from mlc.codegen.runtime import context as ctx
from mlc.codegen.targets.platform import Platform

SPIN_PAUSES = 4000
OVERSUBSCRIBED_PAUSES = 50
"""With more threads than processors a spinning thread keeps the one it waits for from running."""

_FUTEX_WAIT_PRIVATE, _FUTEX_WAKE_PRIVATE = 128, 129
_SIG_BLOCK, _SIG_SETMASK = 0, 2
_AFFINITY_BYTES = 1024

_UNBLOCKED = (4, 5, 7, 8, 11, 27, 32, 33, 34)
"""Faults (ILL, TRAP, BUS, FPE, SEGV) go to the thread at fault, PROF to profilers; the rest is the C library's."""
_BLOCKED_SIGNALS = ((1 << 64) - 1) ^ sum(1 << (signal - 1) for signal in _UNBLOCKED)


def pool_ir(name: str, platform: Platform) -> str:
    """The pool's functions for model ``name``; it expects ``@name_steps(ptr frame, i32 thread, i32
    threads)``.

    Defines ``@name_start(ctx, threads)``, ``@name_stop(ctx)``, ``@name_fork(ctx, frame, threads)`` and
    ``@name_barrier(ctx, phase, threads)``, all internal.
    """
    return "\n".join(
        part.replace("NAME", name).replace("LONG", platform.long).replace("UNWIND", platform.unwind)
        for part in (_declarations(platform), _events(platform), _calls(), _lifetime(platform))
    )


def _declarations(platform: Platform) -> str:
    return f"""{platform.declare}
declare i32 @pthread_create(ptr, ptr, ptr, ptr) nounwind
declare i32 @pthread_join(LONG, ptr) nounwind
declare LONG @syscall(LONG, ...) nounwind
declare i32 @llvm.ctpop.i32(i32)
"""


def _events(platform: Platform) -> str:
    """``signal`` and ``await`` on an event, and the barrier made of them."""
    call = f"call LONG (LONG, ...) @syscall(LONG {platform.futex}, ptr %event, LONG"
    return f"""
define internal void @NAME_signal(ptr %event, i32 %target) nounwind UNWIND {{
entry:
  %old = atomicrmw add ptr %event, i32 1 seq_cst, align 4
  %count = add i32 %old, 1
  %reached = icmp eq i32 %count, %target
  br i1 %reached, label %look, label %out
look:
  %sleepers.at = getelementptr i8, ptr %event, i64 4
  %sleepers = load atomic i32, ptr %sleepers.at seq_cst, align 4
  %nobody = icmp eq i32 %sleepers, 0
  br i1 %nobody, label %out, label %wake
wake:
  %woken = {call} {_FUTEX_WAKE_PRIVATE}, LONG 2147483647, ptr null, ptr null, LONG 0)
  br label %out
out:
  ret void
}}

define internal void @NAME_await(ptr %event, i32 %target, i32 %spins) nounwind UNWIND {{
entry:
  br label %spin
spin:
  %left = phi i32 [ %spins, %entry ], [ %less, %pause ]
  %seen = load atomic i32, ptr %event acquire, align 4
  %ahead = sub i32 %seen, %target
  %reached = icmp sge i32 %ahead, 0
  br i1 %reached, label %out, label %pause
pause:
  {platform.pause}
  %less = sub i32 %left, 1
  %again = icmp ugt i32 %left, 0
  br i1 %again, label %spin, label %announce
announce:
  %sleepers.at = getelementptr i8, ptr %event, i64 4
  %before = atomicrmw add ptr %sleepers.at, i32 1 seq_cst, align 4
  br label %check
check:
  %now = load atomic i32, ptr %event seq_cst, align 4
  %now.ahead = sub i32 %now, %target
  %now.reached = icmp sge i32 %now.ahead, 0
  br i1 %now.reached, label %leave, label %sleep
sleep:
  %slept = {call} {_FUTEX_WAIT_PRIVATE}, i32 %now, ptr null, ptr null, LONG 0)
  br label %check
leave:
  %after = atomicrmw sub ptr %sleepers.at, i32 1 seq_cst, align 4
  br label %out
out:
  ret void
}}

define internal void @NAME_barrier(ptr %ctx, i32 %phase, i32 %threads) nounwind UNWIND {{
entry:
  %alone = icmp eq i32 %threads, 1
  br i1 %alone, label %out, label %meet
meet:
  %event = getelementptr i8, ptr %ctx, i64 {ctx.BARRIER}
  %target = mul i32 %phase, %threads
  %spins.at = getelementptr i8, ptr %ctx, i64 {ctx.SPINS}
  %spins = load i32, ptr %spins.at, align 4
  call void @NAME_signal(ptr %event, i32 %target)
  call void @NAME_await(ptr %event, i32 %target, i32 %spins)
  br label %out
out:
  ret void
}}
"""


def _calls() -> str:
    """What a worker does all its life, and what the caller does per call."""
    return f"""
define internal ptr @NAME_worker(ptr %ctx) nounwind UNWIND {{
entry:
  %started = getelementptr i8, ptr %ctx, i64 {ctx.STARTED}
  %earlier = atomicrmw add ptr %started, i32 1 seq_cst, align 4
  %number = add i32 %earlier, 1
  %fork = getelementptr i8, ptr %ctx, i64 {ctx.FORK}
  %done = getelementptr i8, ptr %ctx, i64 {ctx.DONE}
  %stop.at = getelementptr i8, ptr %ctx, i64 {ctx.STOP}
  %job.at = getelementptr i8, ptr %ctx, i64 {ctx.JOB}
  %threads.at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  %spins.at = getelementptr i8, ptr %ctx, i64 {ctx.SPINS}
  br label %wait
wait:
  %last = phi i32 [ 0, %entry ], [ %call, %work ]
  %call = add i32 %last, 1
  %spins = load i32, ptr %spins.at, align 4
  call void @NAME_await(ptr %fork, i32 %call, i32 %spins)
  %stop = load i32, ptr %stop.at, align 4
  %ends = icmp ne i32 %stop, 0
  br i1 %ends, label %end, label %work
work:
  %frame = load ptr, ptr %job.at, align 8
  %threads = load i32, ptr %threads.at, align 4
  %others = sub i32 %threads, 1
  call void @NAME_steps(ptr %frame, i32 %number, i32 %threads)
  call void @NAME_signal(ptr %done, i32 %others)
  br label %wait
end:
  ret ptr null
}}

define internal void @NAME_fork(ptr %ctx, ptr %frame, i32 %threads) nounwind UNWIND {{
  %fork = getelementptr i8, ptr %ctx, i64 {ctx.FORK}
  %barrier = getelementptr i8, ptr %ctx, i64 {ctx.BARRIER}
  %done = getelementptr i8, ptr %ctx, i64 {ctx.DONE}
  %job.at = getelementptr i8, ptr %ctx, i64 {ctx.JOB}
  %spins.at = getelementptr i8, ptr %ctx, i64 {ctx.SPINS}
  %spins = load i32, ptr %spins.at, align 4
  store ptr %frame, ptr %job.at, align 8
  store atomic i32 0, ptr %barrier monotonic, align 4
  store atomic i32 0, ptr %done monotonic, align 4
  %calls = load atomic i32, ptr %fork monotonic, align 4
  %call = add i32 %calls, 1
  call void @NAME_signal(ptr %fork, i32 %call)
  call void @NAME_steps(ptr %frame, i32 0, i32 %threads)
  %others = sub i32 %threads, 1
  call void @NAME_await(ptr %done, i32 %others, i32 %spins)
  ret void
}}
"""


def _lifetime(platform: Platform) -> str:
    """Starting and ending the workers, and counting the processors that this process may use."""
    return f"""
define internal i32 @NAME_processors() nounwind UNWIND {{
entry:
  %mask = alloca [{_AFFINITY_BYTES} x i8], align 8
  %bytes = call LONG (LONG, ...) @syscall(
    LONG {platform.sched_getaffinity}, LONG 0, LONG {_AFFINITY_BYTES}, ptr %mask)
  %words = sdiv LONG %bytes, 4
  %some = icmp sgt LONG %words, 0
  br i1 %some, label %count, label %unknown
count:
  %index = phi LONG [ 0, %entry ], [ %next, %count ]
  %sum = phi i32 [ 0, %entry ], [ %more, %count ]
  %at = getelementptr i32, ptr %mask, LONG %index
  %word = load i32, ptr %at, align 4
  %ones = call i32 @llvm.ctpop.i32(i32 %word)
  %more = add i32 %sum, %ones
  %next = add LONG %index, 1
  %again = icmp slt LONG %next, %words
  br i1 %again, label %count, label %known
known:
  ret i32 %more
unknown:
  ret i32 1
}}

define internal void @NAME_start(ptr %ctx, i32 %wanted) nounwind UNWIND {{
entry:
  %kept = alloca i64, align 8
  %blocked = alloca i64, align 8
  %threads.at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  %spins.at = getelementptr i8, ptr %ctx, i64 {ctx.SPINS}
  %processors = call i32 @NAME_processors()
  %all = icmp sle i32 %wanted, 0
  %asked = select i1 %all, i32 %processors, i32 %wanted
  %too.many = icmp sgt i32 %asked, {ctx.MAX_THREADS}
  %threads = select i1 %too.many, i32 {ctx.MAX_THREADS}, i32 %asked
  %crowded = icmp sgt i32 %threads, %processors
  %spins = select i1 %crowded, i32 {OVERSUBSCRIBED_PAUSES}, i32 {SPIN_PAUSES}
  store i32 %spins, ptr %spins.at, align 4
  store i64 {_as_signed(_BLOCKED_SIGNALS)}, ptr %blocked, align 8
  store i64 0, ptr %kept, align 8
  %masked = call LONG (LONG, ...) @syscall(
    LONG {platform.rt_sigprocmask}, LONG {_SIG_BLOCK}, ptr %blocked, ptr %kept, LONG 8)
  br label %more
more:
  %running = phi i32 [ 1, %entry ], [ %one.more, %create ]
  %enough = icmp sge i32 %running, %threads
  br i1 %enough, label %out, label %create
create:
  %index = zext i32 %running to i64
  %handle = getelementptr [8 x i8], ptr %ctx, i64 %index
  %handle.at = getelementptr i8, ptr %handle, i64 {ctx.HANDLES - 8}
  %failed.code = call i32 @pthread_create(ptr %handle.at, ptr null, ptr @NAME_worker, ptr %ctx)
  %failed = icmp ne i32 %failed.code, 0
  %one.more = add i32 %running, 1
  br i1 %failed, label %out, label %more
out:
  store i32 %running, ptr %threads.at, align 4
  %unmasked = call LONG (LONG, ...) @syscall(
    LONG {platform.rt_sigprocmask}, LONG {_SIG_SETMASK}, ptr %kept, ptr null, LONG 8)
  ret void
}}

define internal void @NAME_stop(ptr %ctx) nounwind UNWIND {{
entry:
  %threads.at = getelementptr i8, ptr %ctx, i64 {ctx.THREADS}
  %stop.at = getelementptr i8, ptr %ctx, i64 {ctx.STOP}
  %fork = getelementptr i8, ptr %ctx, i64 {ctx.FORK}
  %threads = load i32, ptr %threads.at, align 4
  store i32 1, ptr %stop.at, align 4
  %calls = load atomic i32, ptr %fork monotonic, align 4
  %call = add i32 %calls, 1
  call void @NAME_signal(ptr %fork, i32 %call)
  br label %more
more:
  %joined = phi i32 [ 1, %entry ], [ %one.more, %join ]
  %all = icmp sge i32 %joined, %threads
  br i1 %all, label %out, label %join
join:
  %index = zext i32 %joined to i64
  %handle = getelementptr [8 x i8], ptr %ctx, i64 %index
  %handle.at = getelementptr i8, ptr %handle, i64 {ctx.HANDLES - 8}
  %thread = load LONG, ptr %handle.at, align 8
  %code = call i32 @pthread_join(LONG %thread, ptr null)
  %one.more = add i32 %joined, 1
  br label %more
out:
  store i32 1, ptr %threads.at, align 4
  ret void
}}
"""


def _as_signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
