"""Layouts: text, shapes in memory, and index maps."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, TensorType, f32
from xdsl.parser import Parser

from mlc.dialects import hlt
from mlc.dialects.hlt.layout import Halo, LayoutAttr, PhysicalDim


def test_blocked_layout_with_a_halo() -> None:
    layout = LayoutAttr.blocked(4).with_halo({2: (1, 1), 3: (1, 2)})
    assert str(layout) == '#hlt.layout<"d0 d1/16 d2 d3 d1%16", halo = "d2:1:1 d3:1:2">'
    assert layout.physical_shape((1, 24, 56, 56)) == (1, 2, 58, 59, 16)
    assert str(layout.affine_map()) == "(d0, d1, d2, d3) -> (d0, (d1 floordiv 16), (d2 + 1), (d3 + 1), (d1 mod 16))"
    assert layout.halo == (Halo(), Halo(), Halo(1, 1), Halo(1, 2))
    assert layout.with_halo({2: (0, 0), 3: (0, 0)}) == LayoutAttr.blocked(4)


def test_named_layouts() -> None:
    assert LayoutAttr.identity(3).is_identity()
    assert LayoutAttr.identity(0).physical_shape(()) == ()
    assert not LayoutAttr.channels_last(4).is_identity()
    assert not LayoutAttr.identity(2).with_halo({0: (1, 0)}).is_identity()
    assert LayoutAttr.channels_last(4).physical_shape((1, 3, 5, 7)) == (1, 5, 7, 3)


def test_a_tensor_type_with_a_layout_round_trips() -> None:
    layout = LayoutAttr.blocked(4, block=8).with_halo({2: (1, 1)})
    type_ = TensorType(f32, (1, 8, 5, 5), layout)
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(hlt.HLT)
    assert Parser(context, str(type_)).parse_type() == type_


@st.composite
def layouts(draw: st.DrawFn) -> LayoutAttr:
    rank = draw(st.integers(1, 4))
    dims: list[PhysicalDim] = []
    for dim in range(rank):
        block = draw(st.sampled_from([0, 0, 2, 3]))
        dims.append(PhysicalDim(dim, block))
        dims += [PhysicalDim(dim, block, inner=True)] if block else []
    halo = {dim: (draw(st.integers(0, 2)), draw(st.integers(0, 2))) for dim in range(rank)}
    return LayoutAttr.of(draw(st.permutations(dims)), halo)


@given(layouts(), st.data())
def test_every_element_has_its_own_place_in_memory(layout: LayoutAttr, data: st.DataObject) -> None:
    shape = [data.draw(st.integers(1, 4)) for _ in range(layout.rank)]
    physical = layout.physical_shape(shape)
    index_map = layout.affine_map()
    places = [index_map.eval(index, []) for index in itertools.product(*map(range, shape))]
    assert len(set(places)) == len(places)
    assert all(0 <= at < extent for place in places for at, extent in zip(place, physical, strict=True))


def test_the_rank_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        LayoutAttr.identity(2).physical_shape((1, 2, 3))
