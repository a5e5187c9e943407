"""Definitions come before their uses, in the reach of each other."""

from __future__ import annotations

import pytest
from xdsl.dialects import test
from xdsl.dialects.builtin import ModuleOp, i32
from xdsl.ir import Block, Region
from xdsl.utils.exceptions import VerifyException

from mlc.verifier import verify


def define(*regions: Region) -> test.TestOp:
    return test.TestOp(result_types=[i32], regions=list(regions))


def use(op: test.TestOp) -> test.TestOp:
    return test.TestOp(operands=[op.results[0]])


def ends(*ops: test.TestOp) -> Block:
    return Block([*ops, test.TestTermOp()])


def test_uses_below_and_inside_are_fine() -> None:
    outer, inner = define(), define()
    verify(ModuleOp([outer, define(Region(ends(use(outer), inner, use(inner)))), use(outer)]))


def test_block_arguments_are_seen_inside() -> None:
    block = Block(arg_types=[i32])
    block.add_ops([test.TestOp(operands=[block.args[0]]), test.TestTermOp()])
    verify(ModuleOp([define(Region(block))]))


def test_blocks_that_branch_see_each_other() -> None:
    value = define()
    verify(ModuleOp([define(Region([ends(use(value)), ends(value)]))]))


def test_a_use_above() -> None:
    value = define()
    with pytest.raises(VerifyException, match=r"operand 0 of test.op is used before it is defined"):
        verify(ModuleOp([use(value), value]))


def test_a_use_of_itself() -> None:
    value = define()
    value.operands = [value.results[0]]
    with pytest.raises(VerifyException, match="used before"):
        verify(ModuleOp([value]))


def test_a_use_of_its_own_result_inside() -> None:
    holder = define(Region(block := ends()))
    assert block.first_op is not None
    block.insert_op_before(use(holder), block.first_op)
    with pytest.raises(VerifyException, match="used before"):
        verify(ModuleOp([holder]))


def test_a_use_beside_the_region() -> None:
    inner = define()
    with pytest.raises(VerifyException, match="out of its reach"):
        verify(ModuleOp([define(Region(ends(inner))), use(inner)]))


def test_a_use_in_a_sibling_region() -> None:
    inner = define()
    with pytest.raises(VerifyException, match="out of its reach"):
        verify(ModuleOp([define(Region(ends(inner)), Region(ends(use(inner))))]))
