"""Every graph pass, and all of them in order, keeps the meaning of random programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from mlc.dialects import hlt
from mlc.dialects.context import CompilerContext
from mlc.dialects.interpreters import run_function
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.lowering.graph.kinds import ANCHORS, CHEAP, ELEMENTWISE, MOVEMENT
from mlc.lowering.graph.rewrite import main_block
from mlc.pass_manager import print_ir
from mlc.registry import make_context, parse_passes
from mlc.testing.programs import Program, programs
from mlc.testing.strategies import ELEMENTS, INTEGERS, arrays, shapes
from mlc.verifier import verify

Array = np.ndarray[Any, Any]

PASSES = (
    *("fold-constants", "canonicalize", "fold-batch-norm", "reorder", "eliminate-common"),
    *("recognize-composites", "merge-dots", "eliminate-dead", "group"),
)
SEQUENCE = ",".join(PASSES)
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def run_passes(module: ModuleOp, spec: str, weights: WeightStore | None = None) -> CompilerContext:
    """Apply the passes of ``spec``, verifying after each."""
    context = make_context(weights=weights)
    for each in parse_passes(spec):
        each.apply(context, module)
        verify(module)
    return context


def evaluate(
    module: ModuleOp, inputs: tuple[Array, ...], store: WeightStore, *, widen: bool = False
) -> tuple[Array, ...]:
    return run_function(module, inputs, weights=lambda attr, _: store.array(attr.key.data), widen=widen)


def fix_inputs(program: Program, chosen: list[bool]) -> WeightStore:
    """Make constants of the chosen inputs: in place where they are small, else weights."""
    store = WeightStore()
    block = main_block(program.module)
    assert block is not None
    assert block.first_op is not None
    for index, (argument, array) in enumerate(zip(block.args, program.inputs)):
        if chosen[index % len(chosen)]:
            constant = constant_of(array, store, f"w{index}")
            block.insert_op_before(constant, block.first_op)
            argument.replace_all_uses_with(constant.result)
    return store


def constant_of(array: Array, store: WeightStore, name: str) -> hlt.ConstantOp:
    if array.size <= hlt.INLINE_LIMIT:
        return hlt.ConstantOp(array)
    store.add_array(name, array)
    type_ = hlt.tensor_type(array.shape, hlt.element_type(array.dtype))
    return hlt.ConstantOp(WeightAttr(name, store.digest(name)), type_)


def assert_close(actual: tuple[Array, ...], expected: tuple[Array, ...], tolerance: float = 1e-5) -> None:
    for a, b in zip(actual, expected, strict=True):
        if b.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
            continue
        scale = 1 + (np.abs(b[np.isfinite(b)]).max() if np.isfinite(b).any() else 0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("spec", [*PASSES, SEQUENCE])
@given(program=programs(max_steps=8), constant=st.lists(st.booleans(), min_size=1, max_size=4))
@QUICK
def test_meaning_is_kept(spec: str, program: Program, constant: list[bool]) -> None:
    store = fix_inputs(program, constant)
    expected = evaluate(program.module, program.inputs, store, widen=True)
    run_passes(program.module, spec, store)
    assert_close(evaluate(program.module, program.inputs, store, widen=True), expected)


@given(program=programs(max_steps=6, elements=INTEGERS), constant=st.lists(st.booleans(), min_size=1, max_size=4))
@QUICK
def test_integer_programs_stay_exact(program: Program, constant: list[bool]) -> None:
    store = fix_inputs(program, constant)
    expected = evaluate(program.module, program.inputs, store)
    run_passes(program.module, SEQUENCE, store)
    for a, b in zip(evaluate(program.module, program.inputs, store), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["fold-constants", "canonicalize", "reorder", "eliminate-common", "eliminate-dead"])
@given(program=programs(max_steps=8), constant=st.lists(st.booleans(), min_size=1, max_size=4))
@QUICK
def test_a_second_run_finds_nothing(name: str, program: Program, constant: list[bool]) -> None:
    store = fix_inputs(program, constant)
    run_passes(program.module, name, store)
    once = print_ir(program.module)
    run_passes(program.module, name, store)
    assert print_ir(program.module) == once


# Element-wise rules on corner cases

CONSTANTS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 4.0, 3.0, float("inf"), float("-inf"), float("nan"))
EXTREMES = (hlt.MaximumOp, hlt.MinimumOp)
CLASSES = sorted(ELEMENTWISE - {*EXTREMES}, key=lambda cls: cls.name)
"""All but the extremes, which may yield either of two zeros of different sign."""


@st.composite
def element_wise(draw: st.DrawFn, classes: Sequence[type[Operation]] = CLASSES) -> Program:
    """Up to four element-wise operations on an input full of corner cases and on splats."""
    element = draw(st.sampled_from(ELEMENTS))
    array = draw(arrays(draw(shapes(max_rank=2, max_elements=64)), element, special=True))
    block = Block(arg_types=[hlt.tensor_type(array.shape, element)])
    values: list[SSAValue] = [block.args[0]]
    for _ in range(draw(st.integers(1, 4))):
        op = draw_operation(draw, classes, values, block)
        if op is not None:
            block.add_op(op)
            values.append(op.results[0])
    return finish(block, values[-1:], (array,))


def draw_operation(
    draw: st.DrawFn, classes: Sequence[type[Operation]], values: list[SSAValue], block: Block
) -> hlt.HltOp | None:
    """An operation whose first operand is one of ``values``; None if the drawn class is not defined on it."""
    from xdsl.utils.exceptions import VerifyException

    x = draw(st.sampled_from(values[::-1]))
    cls = draw(st.sampled_from(classes))
    assert issubclass(cls, hlt.HltOp)
    make = cast("Callable[..., hlt.HltOp]", cls)  # each class takes operands and fields of its own
    partners = len(cls.get_irdl_definition().operands) - 1
    operands = [x, *(draw_partner(draw, x, values, block) for _ in range(partners))]
    if len(operands) == 2:
        operands = draw(st.permutations(operands))
    fields = {"predicate": draw(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]))} if cls is hlt.CompareOp else {}
    try:
        if cls in (hlt.CastOp, hlt.BitcastOp):
            return make(x, draw(st.sampled_from(ELEMENTS)))
        return make(*operands, **fields)
    except VerifyException:
        return None


def draw_partner(draw: st.DrawFn, x: SSAValue, values: list[SSAValue], block: Block) -> SSAValue:
    """A value of the type of ``x``, or of its shape: an old one, or a splat."""
    shape, element = hlt.tensor(x)
    same = [value for value in values if hlt.shape_of(value) == shape]
    if draw(st.booleans()):
        return draw(st.sampled_from(same))
    with np.errstate(all="ignore"):
        number = np.asarray(draw(st.sampled_from(CONSTANTS))).astype(hlt.numpy_dtype(element))
    constant = hlt.ConstantOp(np.broadcast_to(number, shape))
    block.add_op(constant)
    return constant.result


def finish(block: Block, results: list[SSAValue], inputs: tuple[Array, ...]) -> Program:
    types = [argument.type for argument in block.args], [value.type for value in results]
    block.add_op(ReturnOp(*results))
    return Program(ModuleOp([FuncOp("main", FunctionType.from_lists(*types), Region(block))]), inputs)


def bits(array: Array) -> Array:
    """The elements' bits, with one NaN for all."""
    if hlt.is_float(hlt.element_type(array.dtype)):
        array = np.where(np.isnan(array.astype(np.float64)), np.array(np.nan, array.dtype), array)
    return array.view(f"u{array.dtype.itemsize}")


@pytest.mark.parametrize("spec", ["canonicalize", "fold-constants,canonicalize,reorder"])
@given(program=element_wise())
@settings(QUICK, max_examples=300)
def test_element_wise_rewrites_are_exact(spec: str, program: Program) -> None:
    expected = program.reference()
    cubes = [op for op in program.module.walk() if isinstance(op, hlt.PowOp)]
    run_passes(program.module, spec)
    for a, b in zip(program.reference(), expected, strict=True):
        if cubes and hlt.is_float(hlt.element_type(b.dtype)):
            with np.errstate(all="ignore"):
                eps = {"float64": 1e-14, "float32": 1e-6, "float16": 4e-3}.get(b.dtype.name, 3e-2)
                np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=eps, atol=1e-30)
        elif not cubes:
            np.testing.assert_array_equal(bits(a), bits(b))


@given(program=element_wise(EXTREMES))
@settings(QUICK, max_examples=200)
def test_rewrites_of_extremes_are_exact_but_for_the_sign_of_zero(program: Program) -> None:
    expected = program.reference()
    run_passes(program.module, "canonicalize")
    for a, b in zip(program.reference(), expected, strict=True):
        wide = np.float64 if hlt.is_float(hlt.element_type(b.dtype)) else b.dtype
        np.testing.assert_array_equal(a.astype(wide), b.astype(wide))


# What a grouped function looks like


@given(program=programs(max_steps=12), constant=st.lists(st.booleans(), min_size=1, max_size=4))
@QUICK
def test_everything_is_in_a_group_and_computed_once(program: Program, constant: list[bool]) -> None:
    store = fix_inputs(program, constant)
    run_passes(program.module, SEQUENCE.removesuffix(",group"), store)
    before = Counter(type(op) for op in program.module.walk())
    run_passes(program.module, "group", store)
    block = main_block(program.module)
    assert block is not None
    for op in block.ops:
        assert isinstance(op, hlt.FusionOp | hlt.ConstantOp | hlt.ReshapeOp | ReturnOp)
        if isinstance(op, hlt.FusionOp):
            check_group(op)
    after = Counter(type(op) for op in program.module.walk())
    copied = {cls for cls in after if after[cls] > before[cls]}
    assert copied <= {hlt.FusionOp, hlt.YieldOp, hlt.ConstantOp, hlt.IotaOp, *MOVEMENT}


def check_group(fusion: hlt.FusionOp) -> None:
    """One anchor or none; a lone operation, or element-wise ones and movement around it; one result."""
    members = [type(op) for op in fusion.members if not isinstance(op, hlt.ConstantOp)]
    others = [cls for cls in members if cls not in ELEMENTWISE and cls not in MOVEMENT and cls is not hlt.IotaOp]
    assert len(others) <= 1
    assert len(fusion.results) == 1 or len(members) == 1
    assert not others or others[0] in ANCHORS or len(members) == 1
    assert all(isinstance(op.value, Attribute) for op in fusion.members if isinstance(op, hlt.ConstantOp))
    captured = [operand.owner for operand in fusion.inputs]
    assert not any(isinstance(op, hlt.ConstantOp) and is_splat(op) for op in captured)


def is_splat(op: hlt.ConstantOp) -> bool:
    array = hlt.constant_value(op)
    return array is not None and array.size > 0 and not any(array.strides)


def test_cheap_operations_are_element_wise() -> None:
    assert CHEAP <= ELEMENTWISE


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError):
        assert_close((np.array([1.0]),), (np.array([1.001]),))
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(bits(np.array([0.0])), bits(np.array([-0.0])))
    assert bits(np.array([np.nan])) == bits(np.array([-np.nan]))
