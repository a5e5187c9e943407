"""Derived weights: computed when read, shared when equal, sealed before they leave the process."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, f32

from mlc.dialects import hlt
from mlc.dialects.weights import Array, WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.lowering.graph.derive import derive, identity, readable, seal


@pytest.fixture
def store() -> WeightStore:
    store = WeightStore()
    store.add_array("w", np.arange(20, dtype=np.float32).reshape(4, 5))
    return store


def reference(store: WeightStore, name: str = "w") -> hlt.ConstantOp:
    type_ = hlt.tensor_type(store.shape(name), hlt.element_type(store.dtype(name)))
    return hlt.ConstantOp(WeightAttr(name, store.digest(name)), type_)


class Doubling:
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, array: Array) -> Array:
        self.calls += 1
        return 2 * array


def test_large_results_are_computed_when_read(store: WeightStore) -> None:
    double = Doubling()
    op = derive(store, "double", [reference(store)], hlt.Tensor((4, 5), f32), double)
    assert op is not None
    assert isinstance(op.value, WeightAttr)
    assert double.calls == 0
    np.testing.assert_array_equal(store.array(op.value.key.data), 2 * store.array("w"))
    assert double.calls == 1


def test_equal_recipes_share_an_entry(store: WeightStore) -> None:
    source = reference(store)
    first, second, other = (
        derive(store, recipe, [source], hlt.Tensor((4, 5), f32), Doubling()) for recipe in ("a 1", "a 1", "a 2")
    )
    assert first is not None and second is not None and other is not None
    assert first.value == second.value
    assert first.value != other.value
    assert len(store) == 3


def test_names_do_not_pile_up(store: WeightStore) -> None:
    op = reference(store)
    for _ in range(3):
        derived = derive(store, "double", [op], hlt.Tensor((4, 5), f32), Doubling())
        assert derived is not None
        op = derived
    assert isinstance(op.value, WeightAttr)
    assert op.value.key.data.count("~") == 1
    np.testing.assert_array_equal(store.array(op.value.key.data), 8 * store.array("w"))


def test_small_results_stand_in_place() -> None:
    source = hlt.ConstantOp(np.array([1.0, 2.0], np.float32))
    op = derive(None, "double", [source], hlt.Tensor((2,), f32), Doubling())
    assert op is not None
    np.testing.assert_array_equal(hlt.constant_value(op), [2, 4])


def test_without_a_store_there_is_no_large_result() -> None:
    source = hlt.ConstantOp(np.ones(20, np.float32))
    assert derive(None, "double", [source], hlt.Tensor((20,), f32), Doubling()) is None


def test_identity_tells_constants_apart() -> None:
    ones, more = hlt.ConstantOp(np.ones(4, np.float32)), hlt.ConstantOp(np.ones(5, np.float32))
    assert identity(ones) == identity(hlt.ConstantOp(np.ones(4, np.float32)))
    assert len({identity(ones), identity(more), identity(hlt.ConstantOp(np.zeros(4, np.float32)))}) == 3


def test_unknown_weights_are_not_readable(store: WeightStore) -> None:
    op = reference(store)
    assert readable(op.result, store)
    assert not readable(op.result, None)
    assert not readable(op.result, WeightStore())


def test_seal_identifies_weights_by_their_values(store: WeightStore) -> None:
    source = reference(store)
    op = derive(store, "same", [source], hlt.Tensor((4, 5), f32), np.asarray)
    assert op is not None
    assert isinstance(op.value, WeightAttr)
    assert op.value.digest != WeightAttr("w", store.digest("w")).digest
    seal(ModuleOp([op]), store)
    assert op.value.digest.data == store.digest("w")
