"""What a target description is: facts and instruction rows, no behaviour.

``lowering/loops`` and ``codegen/emit`` read these; the name of an instruction set stands in no other folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class Caches:
    """Cache sizes per core, in bytes (``l3``: the share one core can count on)."""

    l1: int = 32 << 10
    l2: int = 1 << 20
    l3: int = 4 << 20
    line: int = 64


@dataclass(frozen=True)
class Instruction:
    """One instruction row: what a scalar operation (or a joined pattern) becomes at full vector width.

    ``op`` is the scalar operation's name in the IR (``math.fma``, ``loop.ldexp``, ``loop.dot4``); ``text`` is the
    LLVM IR right-hand side, or several of them, separated by ``;``, of which the last one is the result: ``name = ``
    before one lets later ones refer to it by ``$name``, and ``$`` is the one before. In them stand ``{0} {1} ..`` for
    operands, ``{T}`` for the vector type, ``{I}`` for the integer vector type of the same width, ``{S}`` for the
    intrinsic suffix (``v16f32``), ``{W}`` for the lane count.
    ``temporaries`` is how many registers it takes besides those of its operands and its result.
    A row applies when all its ``features`` are on and the element type and lane count match; the first such row wins.
    """

    op: str
    dtype: str
    text: str
    lanes: int | None = None
    features: frozenset[str] = frozenset()
    declare: str | None = None
    temporaries: int = 0


@dataclass(frozen=True)
class Target:
    """A machine to compile for.

    ``fma``, ``rounding`` and ``half`` say whether it multiplies and adds with one rounding, rounds floats to
    integers, and converts to and from f16; without them those are sequences of other instructions. ``vector_casts``
    says whether whole vectors of floats become integers, else they do lane by lane; ``division`` whether integers
    divide, and ``wide_integers`` whether those of 64 bits do and convert to and from floats.

    ``abilities_from`` names the feature that each of these comes from, where it is one that can be missing.

    ``cpu`` is the processor whose features LLVM takes for granted, ``tune`` the one whose timings it orders
    instructions by (``cpu`` when empty), ``in_order`` whether that one starts them in program order. ``spec`` is the
    text by which ``find_target`` finds a description again that is not one of the table's.

    ``vector_bytes`` is the width of a vector register, ``registers`` their number; ``splat`` says how the operand
    that is the same in all lanes reaches a multiply-add: ``memory`` (a broadcasting load), ``lane`` (by-lane
    forms that need the operand packed) or ``scalar`` (a register that is no vector's). ``chained``: in innermost
    loops addresses are pointers that each iteration moves on, rather than multiples of its number; that suits
    machines that address with offsets alone.

    ``pointer_bytes`` is the size of an address (and of C's long and size_t); ``abi`` names the calling convention
    where LLVM does not derive it from the triple.

    ``per_cycle`` is about how many vector instructions a core starts in a cycle, for estimates of time.

    ``unroll_budget`` is how many operations an unrolled tile may have and still run at full speed (on CPUs, from the
    decoded-instruction cache), ``reduction_unroll`` how many steps of a product's reduction it takes. Where
    ``proven_offsets``, LLVM folds an offset into an access only if it can prove that the address does not wrap.

    ``container`` is the format of objects (``macho`` and ``coff``: those of macOS and Windows), ``relocation`` LLVM's
    name of how code finds addresses;
    without ``threads`` code runs on the calling thread only.

    On GPUs ``index_registers`` gives the intrinsic that reads a block's or thread's number by what a schedule binds
    loops to (``block.x``), ``convention`` and ``address_space`` are those of kernels and their pointers, and
    ``thread_limit`` is the function attribute for the threads of a block, with ``{0}`` for their number.
    """

    name: str
    triple: str
    cpu: str
    features: frozenset[str]
    vector_bytes: int
    registers: int
    splat: Literal["memory", "lane", "scalar"] = "memory"
    chained: bool = False
    fma: bool = True
    rounding: bool = True
    half: bool = True
    vector_casts: bool = True
    division: bool = True
    wide_integers: bool = True
    caches: Caches = field(default_factory=Caches)
    rows: tuple[Instruction, ...] = ()
    elf_machine: int = 62
    llvm_features: str = ""
    kind: Literal["cpu", "gpu"] = "cpu"
    convention: str = ""
    address_space: int = 0
    index_registers: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    thread_limit: str = ""
    endian: Literal["little"] = "little"
    pointer_bytes: int = 8
    abi: str = ""
    tune: str = ""
    in_order: bool = False
    spec: str = ""
    abilities_from: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    per_cycle: float = 2.0
    unroll_budget: int = 126
    reduction_unroll: int = 4
    proven_offsets: bool = False
    container: Literal["elf", "wasm", "macho", "coff"] = "elf"
    relocation: Literal["pic", "static"] = "pic"
    threads: bool = True

    @property
    def attributes(self) -> str:
        """LLVM function attributes that every kernel gets."""
        if self.kind == "gpu":
            return ""
        tune = f' "tune-cpu"="{self.tune}"' if self.tune else ""
        return f'"prefer-vector-width"="{self.vector_bytes * 8}"{tune}'

    @property
    def system(self) -> str:
        """The operating system: ``linux``, ``macosx11.0``, ``windows``, ``unknown``."""
        return self.triple.split("-")[2]

    @property
    def designation(self) -> str:
        """The text by which ``find_target`` finds this description."""
        return self.spec or self.name

    def with_features(self, features: frozenset[str]) -> Target:
        """The same machine with these features, and the abilities that come from them."""

        def has(ability: str, otherwise: bool) -> bool:
            source = self.abilities_from.get(ability)
            return source in features if source else otherwise

        return replace(
            self,
            features=features,
            fma=has("fma", self.fma),
            rounding=has("rounding", self.rounding),
            half=has("half", self.half),
            division=has("division", self.division),
        )

    @property
    def index(self) -> str:
        """LLVM's type of loop counters, offsets and thread numbers: an integer as wide as an address."""
        return f"i{8 * self.pointer_bytes}"

    def lanes(self, dtype_bytes: int) -> int:
        """Elements of ``dtype_bytes`` bytes in one vector register."""
        return max(1, self.vector_bytes // dtype_bytes)

    @property
    def computes_half(self) -> bool:
        """Whether it multiplies and adds vectors of f16."""
        return self.row("math.fma", "f16", self.lanes(2)) is not None

    def row(self, op: str, dtype: str, lanes: int) -> Instruction | None:
        """The first instruction row for a scalar operation at this element type and lane count."""
        for row in self.rows:
            if row.op == op and row.dtype == dtype and row.lanes in (None, lanes) and row.features <= self.features:
                return row
        return None
