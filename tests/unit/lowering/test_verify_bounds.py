"""verify_bounds accepts what the passes make and notices any access that leaves its buffer."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, MemRefType, ModuleOp, f32, i64
from xdsl.parser import Parser

from mlc.codegen.targets import find_target
from mlc.dialects.loop import AccessAttr, BufferOp, CallOp, KernelOp, TileOp
from mlc.errors import InternalError
from mlc.lowering.loops.verify_bounds import VerifyBoundsPass, check_kernel
from mlc.registry import make_context
from mlc.testing.loops import kernel_of, loop_program, lower_loops

COPY = """
loop.kernel @k {{
^bb0(%x: memref<{shape}xf32>, %y: memref<{shape}xf32>):
  loop.compute ins(%x : memref<{shape}xf32>) outs(%y : memref<{shape}xf32>) dims <"{dims}"> schedule <"{plan}">
    maps [#loop.map<"{index}">, #loop.map<"{index}">] init {{ }} map {{ }} combine {{ }} finish {{
  ^bb1(%e: f32):
    loop.yield %e : f32
  }}
}}
"""


def lowered(plan: str, shape: str = "5x19", index: str = "a, b") -> KernelOp:
    """A scheduled copy."""
    text = COPY.format(shape=shape, dims="a=5 b=19", plan=plan, index=index)
    kernel = next(iter(Parser(make_context(), text).parse_module().ops))
    assert isinstance(kernel, KernelOp)
    return kernel_of(lower_loops(kernel, find_target("x86-64-v3")))


def tiles(kernel: KernelOp) -> list[TileOp]:
    return [op for op in kernel.walk() if isinstance(op, TileOp)]


def change(tile: TileOp, text: str, number: int = 0) -> None:
    """Replace one access of a tile."""
    accesses = list(tile.access)
    accesses[number] = AccessAttr.of(text)
    tile.properties["access"] = ArrayAttr(accesses)


@pytest.mark.parametrize(
    ("plan", "shape", "index"),
    [
        ("a/2 b/8 a* b* b@4", "5x19", "a, b"),
        ("b/16 a/1 b* b@16", "5x19", "-a + 4, -b + 18"),
        ("a/1 b/8 b@8", "5x3x8", "a, b//8, b%8"),
        ("a/1 b/2 b* b@8", "5x3x8", "a, b//8, b%8"),
    ],
    ids=["tails", "backwards", "blocks", "parts of blocks"],
)
def test_accepts(plan: str, shape: str, index: str) -> None:
    check_kernel(lowered(plan, shape, index))


def test_every_access_at_the_end_is_tight() -> None:
    """Shifting any access of the last tile by one element makes it leave its buffer, forwards or backwards."""
    kernel = lowered("a* b* b@4")
    (tile,) = tiles(kernel)
    for number, attr in enumerate(list(tile.access)):
        original, data = attr.text(), attr.data
        for shift in (4, -4):
            change(tile, AccessAttr(data._replace(const=data.const + shift)).text(), number)
            with pytest.raises(InternalError, match="buffer of 380") as caught:
                check_kernel(kernel)
            assert caught.value.node == "k"
        change(tile, original, number)
    check_kernel(kernel)


def test_masked_lanes_count_when_the_operand_is_full() -> None:
    kernel = lowered("a* b* b@4")
    (tile,) = tiles(kernel)
    change(tile, tile.access.data[0].text() + " | full")
    with pytest.raises(InternalError):
        check_kernel(kernel)


def test_induction_variables_count() -> None:
    kernel = lowered("a/1 b* b@4")
    (tile,) = tiles(kernel)
    change(tile, tile.access.data[1].text().replace("76", "80"), 1)
    with pytest.raises(InternalError):
        check_kernel(kernel)


def program() -> ModuleOp:
    text = COPY.format(shape="5x19", dims="a=5 b=19", plan="a/1 b* b@4", index="a, b")
    kernel = next(iter(Parser(make_context(), text).parse_module().ops))
    assert isinstance(kernel, KernelOp)
    return loop_program(kernel)


def test_calls_pass_what_kernels_take() -> None:
    module = program()
    call = next(op for op in module.walk() if isinstance(op, CallOp))
    small = BufferOp.create(result_types=[MemRefType(f32, [5, 18])])
    block = call.parent_block()
    assert block is not None
    block.insert_op_before(small, call)
    call.operands[0] = small.result
    with pytest.raises(InternalError, match="5x18"):
        VerifyBoundsPass().apply(make_context(), module)


def test_buffers_lie_in_the_arena() -> None:
    module = program()
    call = next(op for op in module.walk() if isinstance(op, CallOp))
    buffer = BufferOp.create(result_types=[MemRefType(f32, [5, 19])], properties={"offset": IntegerAttr(64, i64)})
    main = call.parent_op()
    block = call.parent_block()
    assert main is not None and block is not None
    block.insert_op_before(buffer, call)
    call.operands[0] = buffer.result
    main.attributes["arena"] = IntegerAttr(64 + 380, i64)
    VerifyBoundsPass().apply(make_context(), module)
    main.attributes["arena"] = IntegerAttr(64 + 376, i64)
    with pytest.raises(InternalError, match="arena of 440"):
        VerifyBoundsPass().apply(make_context(), module)
