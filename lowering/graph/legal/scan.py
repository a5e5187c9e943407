"""Scans of halves run in f32: a running total must not be rounded at every step."""

from __future__ import annotations

from xdsl.dialects.builtin import f32

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.dialects.hlt.base import element_of
from mlc.lowering.graph.rewrite import Rules
from mlc.lowering.scalar import is_half

RULES = Rules()


@RULES.on(hlt.ScanOp)
def scan_of_halves(op: hlt.ScanOp) -> Value | None:
    """Sums and products of half precision are carried in f32."""
    element = element_of(op.x)
    if not is_half(element) or op.kind in ("max", "min"):
        return None
    wide = hlt.CastOp(op.x, dtype=f32)
    total = hlt.ScanOp(wide, kind=op.kind, axis=op.axis, exclusive=op.exclusive, reverse=op.reverse)
    return hlt.CastOp(total, dtype=element)
