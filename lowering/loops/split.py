"""split: index maps become byte coefficients of the schedule's levels.

    dims <"n=64 x=3136 c=64:r"> schedule <"n/32 x/~7 c/4 c* x* n* n@16"> maps [#loop.map<"x, c">, ...]
 -> reach [#loop.reach<"0 | x/7:1792 c/4:16 c*:4 x*:256">, ...]

A dim that an operand uses as ``n//16`` and ``n%16`` is fine as long as every level moves by whole blocks or stays
inside one; anything else is refused with the advice to pack the operand or to change the schedule. Scratch buffers
hold one tile of the kernel's shared loops, so those levels do not move them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, MemRefType, ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from mlc.dialects.loop import ComputeOp, KernelOp, Level, MapAttr, Plan, Reach, ReachAttr, ScratchOp, buffer_type
from mlc.dialects.loop.affine import Expr, Quotient, Subscript, dims_of, linear, quotient_dims, simplify, subscripts_of
from mlc.lowering.loops.check_schedule import check_schedule
from mlc.lowering.loops.levels import Span, element_bytes, row_major, spans


def address(mapping: MapAttr, buffer: MemRefType, extents: dict[str, int]) -> Expr:
    """The byte address of a map into a dense buffer."""
    size = element_bytes(buffer.element_type)
    strides = [s * size for s in row_major(buffer.get_shape())]
    return simplify(linear(strides, mapping.data), extents)


def reach_of(expr: Expr, levels: Sequence[Span], *, full: bool = False) -> Reach:
    """Byte coefficients per level of an address; raises VerifyException where it is not linear in the levels."""
    const = expr.const
    coefficients: dict[str, int] = {}
    subscripts: list[tuple[Subscript, int]] = []
    for atom, factor in expr.terms:
        if isinstance(atom, Subscript):
            subscripts.append((atom, factor))
            continue
        if isinstance(atom, str):
            for span in levels:
                if span.level.dim == atom:
                    _add(coefficients, span.key, factor * span.step)
            continue
        const += _quotient_reach(atom, factor, levels, coefficients)
    kept = tuple((s.key, coefficients[s.key]) for s in levels if coefficients.get(s.key))
    return Reach(const, kept, full, tuple(subscripts))


def _add(coefficients: dict[str, int], key: str, value: int) -> None:
    coefficients[key] = coefficients.get(key, 0) + value


def _quotient_reach(atom: Quotient, factor: int, levels: Sequence[Span], into: dict[str, int]) -> int:
    """Add the coefficients of ``factor * (e // k)`` or ``factor * (e % k)``; returns its constant."""
    divisor = atom.divisor
    if subscripts_of(atom.expr):
        raise VerifyException(f"[split_linear] ({atom.expr}){atom.kind}{divisor}: a subscript can't be blocked")
    inner = dict(reach_of(atom.expr, levels).levels)
    base = reach_of(atom.expr, levels).const
    spare = base % divisor
    for span in levels:
        step = inner.get(span.key, 0)
        if step == 0:
            continue
        if step % divisor == 0:
            if atom.kind == "//":
                _add(into, span.key, factor * (step // divisor))
            continue
        if step < 0:
            raise VerifyException(f"[split_linear] ({atom.expr}){atom.kind}{divisor} runs backwards over {span.key}")
        spare += step * (span.count - 1)
        if atom.kind == "%":
            _add(into, span.key, factor * step)
    if spare >= divisor:
        raise VerifyException(
            f"[split_linear] ({atom.expr}){atom.kind}{divisor} is not linear over the levels "
            f"{' '.join(s.key for s in levels)}: pack the operand or choose steps that respect {divisor}"
        )
    return factor * (base // divisor if atom.kind == "//" else base % divisor)


def _block(mapping: MapAttr) -> tuple[str, int]:
    """The dim and the size of the blocks in which a buffer lies, so that it ends on a whole one; "" for none."""
    terms = mapping.data[-1].terms if mapping.data else ()
    if len(terms) != 1:
        return "", 0
    atom = terms[0][0]
    if not isinstance(atom, Quotient) or atom.kind != "%":
        return "", 0
    return atom.expr.as_dim or "", atom.divisor


def _is_padded(op: ComputeOp, number: int, plan: Plan, levels: Sequence[Level]) -> bool:
    """Whether whole vectors may be accessed in an operand even where a dim ends inside one.

    Along lanes its blocks are whole vectors. An input that lanes don't move may be read in whole vectors along the
    dim of its blocks if every tile of that starts on one.
    """
    assert op.maps is not None
    mapping = op.maps.data[number]
    name, size = _block(mapping)
    if not name or not plan.lanes:
        return False
    moving = {d for e in mapping.data for d in dims_of(e)}
    if name not in plan.lanes and (number >= len(op.ins) or moving & plan.lanes.keys()):
        return False
    width = plan.lanes.get(name) or max(plan.lanes.values())
    steps = [v for v in levels if v.kind == "/" and v.dim == name]
    return size % width == 0 and all(v.size % width == 0 and not v.balanced for v in steps)


def _is_private(value: SSAValue, shared: Sequence[Level]) -> bool:
    """Whether a buffer is scratch of one tile of the shared loops: nothing before or after them uses it."""
    if not isinstance(value.owner, ScratchOp):
        return False
    names = {level.dim for level in shared}
    users = [use.operation for use in value.uses]
    return all(names <= user.dims.extents.keys() for user in users if isinstance(user, ComputeOp))


def shared_levels(op: ComputeOp) -> tuple[Level, ...]:
    """The levels of the kernel's shared loops over dims of this compute."""
    kernel = op.parent_op()
    if not isinstance(kernel, KernelOp) or kernel.shared is None:
        return ()
    names = op.dims.extents
    return tuple(v for v in kernel.shared.data.levels if v.dim in names)


def reaches(op: ComputeOp, plan: Plan) -> list[ReachAttr]:
    """The byte coefficients of every operand under a plan.

    Raises VerifyException where the plan is not one for this compute, or does not fit an operand's blocks.
    """
    assert op.maps is not None
    shared = shared_levels(op)
    whole = plan._replace(levels=(*shared, *plan.levels))
    check_schedule(op, whole)
    levels = spans(op.dims.data, whole)
    balanced = {v.dim for v in (*shared, *plan.loops) if v.balanced}
    extents = op.dims.extents
    tile = {**extents, **{v.dim: min(v.size, extents[v.dim]) for v in shared}}
    found: list[ReachAttr] = []
    for i, (value, mapping) in enumerate(zip(op.operands, op.maps)):
        private = _is_private(value, shared)
        expr = address(mapping, buffer_type(value), tile if private else extents)
        bad = balanced & quotient_dims(expr)
        if bad and i not in plan.pack:
            raise VerifyException(f"[split_balanced] dim {min(bad)!r} is blocked in operand {i}: its steps can't vary")
        inside = levels[len(shared) :] if private else levels
        found.append(ReachAttr(reach_of(expr, inside, full=_is_padded(op, i, plan, whole.levels))))
    return found


def fits(op: ComputeOp, plan: Plan) -> bool:
    """Whether the levels of a plan respect the blocks of every operand."""
    try:
        reaches(op, plan)
    except VerifyException:
        return False
    return True


def split_compute(op: ComputeOp) -> None:
    """Replace the maps of a scheduled compute by reaches, in place."""
    if op.schedule is None or op.maps is None:
        raise VerifyException("[split_input] split needs a compute with maps and a schedule")
    op.properties["reach"] = ArrayAttr(reaches(op, op.schedule.data))
    del op.properties["maps"]


@dataclass(frozen=True)
class SplitPass(ModulePass):
    """Index maps become byte coefficients of the schedule's levels."""

    name = "split"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in [o for o in op.walk() if isinstance(o, ComputeOp) and o.maps is not None]:
            split_compute(compute)
