"""What tests of instruction selection rely on: loops are found, counts and stack accesses are right."""

from __future__ import annotations

from mlc.testing.assembly import Listing

TEXT = """
\t.text
kernel:
\tpushq\t%rbx
\tmovq\t%rcx, -8(%rsp)
.LBB0_1:                                # =>This Loop Header
\txorl\t%eax, %eax
.LBB0_2:
\tvmovups\t(%rsi), %zmm0               # comment with (%rsp)
\tvfmadd231ps\t%zmm0, %zmm1, %zmm2
\tvfmadd231ps\t-64(%rsp), %zmm1, %zmm3
\tjl\t.LBB0_2
\tje\t.LBB0_3
\tjmp\t.LBB0_1
.LBB0_3:
\tretq
"""


def test_reads_instructions_and_loops() -> None:
    listing = Listing.of(TEXT)
    assert len(listing.instructions) == 10
    (loop,) = listing.innermost_loops()
    assert loop.mnemonics == {"vmovups": 1, "vfmadd231ps": 2, "jl": 1}
    assert listing.busiest_loop("vfmadd") == loop
    assert loop.count(r"vfmadd231ps %zmm0") == 1


def test_sees_the_stack() -> None:
    listing = Listing.of(TEXT)
    assert [i.mnemonic for i in listing.stack_accesses] == ["movq", "vfmadd231ps"]
    (loop,) = listing.innermost_loops()
    assert len(loop.stack_accesses) == 1
