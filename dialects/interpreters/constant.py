"""Reference meaning of constants that stand in the IR; weights are read by ``run_function``."""

from __future__ import annotations

from mlc.dialects import hlt
from mlc.dialects.interpreters.registry import Array, reference
from mlc.errors import InternalError


@reference(hlt.ConstantOp, moves_data=True)
def constant(op: hlt.ConstantOp) -> Array:
    """The dense value; a weight needs a store, which single operations are evaluated without."""
    value = hlt.constant_value(op)
    if value is None:
        raise InternalError("a weight can't be evaluated without a weight store", node=hlt.node_name(op))
    return value
