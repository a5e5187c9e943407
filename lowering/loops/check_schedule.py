"""What a schedule must respect so that it can't change the result; `split` asks before anything is lowered."""

from __future__ import annotations

import numpy as np
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.interpreters.loop import evaluate_constants
from mlc.dialects.loop import ComputeOp, Plan


def check_schedule(op: ComputeOp, plan: Plan) -> None:
    """Raise VerifyException where the plan would not compute what ``op`` says."""
    _check_order(op, plan)
    _check_steps(op, plan)
    if _keeps(op, plan) and not is_repeatable(op):
        raise VerifyException(
            "[schedule_repeat] kept axes and reduction lanes repeat init, which would change the result"
        )


def _check_order(op: ComputeOp, plan: Plan) -> None:
    """Loops stand outside register levels, reduction loops inside all others."""
    kinds = op.dims.kinds
    reducing = registers = False
    for level in plan.levels:
        kind = kinds.get(level.dim)
        if level.kind != "/":
            registers = True
            continue
        if registers:
            raise VerifyException(f"[schedule_order] loop {level} stands inside register levels")
        if reducing and kind != "r":
            raise VerifyException(f"[schedule_order] loop {level} stands inside a reduction loop")
        reducing = reducing or kind == "r"


def _check_steps(op: ComputeOp, plan: Plan) -> None:
    """Loops over one dim shrink; sequential dims have nothing but loops; only reductions keep axes."""
    kinds = op.dims.kinds
    steps: dict[str, int] = {}
    for level in plan.levels:
        if level.kind == "/":
            if level.size >= steps.get(level.dim, level.size + 1):
                raise VerifyException(f"[schedule_steps] loop {level} is no smaller than the one around it")
            steps[level.dim] = level.size
        elif kinds.get(level.dim) == "s":
            raise VerifyException(f"[schedule_sequential] dim {level.dim!r} runs in order: it can only be looped over")
        elif level.kind == "+" and kinds.get(level.dim) != "r":
            raise VerifyException(f"[schedule_kept] {level} keeps a dim that is no reduction")


def _keeps(op: ComputeOp, plan: Plan) -> bool:
    """Whether several accumulators are merged at the end."""
    return any(v.kind in "+@" and op.dims.kinds.get(v.dim) == "r" for v in plan.levels)


def is_repeatable(op: ComputeOp) -> bool:
    """Whether ``init`` is constant and combining it with itself changes nothing.

    So it may stand in every one of several accumulators that are merged at the end: true of neutral elements, and of
    anything under minimum and maximum.
    """
    init = evaluate_constants(op.init.block, {})
    if init is None:
        return False
    combine = op.combine.block
    merged = evaluate_constants(combine, dict(zip(combine.args, [*init, *init], strict=True)))
    return merged is not None and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(init, merged, strict=True))
