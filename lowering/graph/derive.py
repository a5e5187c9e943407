"""Constants computed from constants: small ones at once, large ones by the weight store when they are read.

A derived weight is identified by how it was made: its digest covers the recipe and the digests of the sources,
not the values, which may not exist yet. Equal recipes on equal sources share one entry.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr

Array = np.ndarray[Any, Any]
Compute = Callable[..., Array]


def constant_op(value: SSAValue) -> hlt.ConstantOp | None:
    """The constant that makes ``value``."""
    op = value.owner
    return op if isinstance(op, hlt.ConstantOp) else None


def readable(value: SSAValue, store: WeightStore | None) -> bool:
    """Whether ``value`` is a constant whose elements can be read: it stands in the IR or in ``store``."""
    op = constant_op(value)
    if op is None:
        return False
    return not isinstance(op.value, WeightAttr) or (store is not None and op.value.key.data in store)


def identity(op: hlt.ConstantOp) -> str:
    """A text that is equal for equal constants only."""
    if isinstance(op.value, WeightAttr):
        return op.value.digest.data
    array = hlt.constant_value(op)
    assert array is not None, "a constant is a weight or stands in the IR"
    stored = array if any(array.strides) or array.size <= 1 else array[(slice(0, 1),) * array.ndim]
    return f"{op.result.type}:{np.ascontiguousarray(stored).tobytes().hex()}"


def reader(op: hlt.ConstantOp, store: WeightStore | None) -> Callable[[], Array]:
    """A function that reads the constant's array; it doesn't hold a weight's elements."""
    if isinstance(op.value, WeightAttr):
        name = op.value.key.data
        assert store is not None, "`readable` was asked first"
        return lambda: store.array(name)
    array = hlt.constant_value(op)
    assert array is not None, "a constant is a weight or stands in the IR"
    return lambda: array


def derive(
    store: WeightStore | None,
    recipe: str,
    sources: Sequence[hlt.ConstantOp],
    result: hlt.Tensor,
    compute: Compute,
) -> hlt.ConstantOp | None:
    """The constant ``compute(*arrays of the sources)``; ``None`` if it is large and there is no store.

    ``compute`` must be a function of the arrays alone, told from others by ``recipe``.
    """
    readers = [reader(source, store) for source in sources]

    def evaluate() -> Array:
        return compute(*(read() for read in readers))

    if math.prod(result.shape) <= hlt.INLINE_LIMIT:
        return hlt.ConstantOp(evaluate())
    if store is None:
        return None
    digest = _digest(recipe, sources, result)
    name = f"{_stem(sources)}~{recipe.split()[0]}.{digest[:12]}"
    if name not in store:
        store.add_lazy(name, hlt.numpy_dtype(result.element), result.shape, evaluate)
    return hlt.ConstantOp(WeightAttr(name, digest), result.type)


def seal(module: ModuleOp, store: WeightStore) -> None:
    """Identify each weight that ``module`` refers to by its values, as text that leaves the process must.

    Computes the derived ones.
    """
    for op in module.walk():
        if isinstance(op, hlt.ConstantOp) and isinstance(op.value, WeightAttr) and op.value.key.data in store:
            name = op.value.key.data
            op.properties["value"] = WeightAttr(name, store.digest(name))


def _digest(recipe: str, sources: Sequence[hlt.ConstantOp], result: hlt.Tensor) -> str:
    hasher = hashlib.sha256(f"derived {recipe} {result.type}".encode())
    for source in sources:
        hasher.update(b"\0" + identity(source).encode())
    return hasher.hexdigest()


def _stem(sources: Sequence[hlt.ConstantOp]) -> str:
    """The name of the first weight among the sources, without what earlier derivations added."""
    for source in sources:
        if isinstance(source.value, WeightAttr):
            return source.value.key.data.partition("~")[0]
    return "constant"
