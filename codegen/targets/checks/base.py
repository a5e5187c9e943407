"""What checks of processor features are made of, as LLVM IR text.

``NAME`` stands for the artefact's name, ``BASELINE`` for the attributes of code that any processor runs. Instructions
that have no intrinsic stand as prologue bytes of functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlc.errors import UnsupportedError

_AT_HWCAP = 16
_PATH = b"/proc/self/auxv\0"
_BYTES = 1024
_CLOSE_ON_EXEC = 0o2000000


def code(text: str) -> str:
    """Machine code given in hexadecimal, as an LLVM constant."""
    data = bytes.fromhex(text)
    return f'[{len(data)} x i8] c"{_escaped(data)}"'


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02X}" for byte in data)


def mask(bits: Mapping[str, int], features: frozenset[str]) -> int:
    """The bits of those features that have one."""
    return sum(1 << bit for name, bit in bits.items() if name in features)


def unknown(features: frozenset[str]) -> UnsupportedError:
    """The error for features that nothing here knows how to ask for."""
    names = ", ".join(sorted(features))
    return UnsupportedError(f"no run-time check is known for the processor features {names}")


@dataclass(frozen=True)
class Linux:
    """How code without the C library calls Linux: ``@NAME_system`` of ``arguments`` words after the call's number.

    ``instructions`` are its code, in hexadecimal; ``opening`` is the call that opens a file and what it takes before
    the path, ``reading`` and ``closing`` are those that read and close it.
    """

    word: str
    arguments: int
    instructions: str
    opening: tuple[int, ...]
    reading: int
    closing: int

    @property
    def function(self) -> str:
        """The definition of ``@NAME_system``."""
        parameters = ", ".join(f"{self.word} %a{i}" for i in range(1 + self.arguments))
        return f"""
define internal {self.word} @NAME_system({parameters}) noinline nounwind BASELINE
    prologue {code(self.instructions)} {{
  ret {self.word} 0
}}
"""

    def call(self, *values: int | str) -> str:
        """The call with this number and these arguments."""
        padded = [*values, *[0] * (1 + self.arguments - len(values))]
        return f"call {self.word} @NAME_system({', '.join(f'{self.word} {value}' for value in padded)})"

    def capabilities(self, function: str, bits: int) -> str:
        """Defines ``i1 @function()``: whether AT_HWCAP has all the bits; true where it can't be read."""
        word, size = self.word, int(self.word[1:]) // 8
        return f"""
@NAME_auxv = internal constant [{len(_PATH)} x i8] c"{_escaped(_PATH)}"
define internal i1 @{function}() noinline nounwind BASELINE {{
entry:
  %pairs = alloca [{_BYTES} x i8], align 8
  %path = ptrtoint ptr @NAME_auxv to {word}
  %goal = ptrtoint ptr %pairs to {word}
  %file = {self.call(*self.opening, "%path", _CLOSE_ON_EXEC)}
  %opened = icmp sge {word} %file, 0
  br i1 %opened, label %read, label %unknown
read:
  %bytes = {self.call(self.reading, "%file", "%goal", _BYTES)}
  %closed = {self.call(self.closing, "%file")}
  br label %look
look:
  %at = phi {word} [ 0, %read ], [ %next, %more ]
  %next = add {word} %at, {2 * size}
  %inside = icmp sle {word} %next, %bytes
  br i1 %inside, label %more, label %unknown
more:
  %pair = getelementptr i8, ptr %pairs, {word} %at
  %kind = load volatile {word}, ptr %pair, align {size}
  %value.at = getelementptr i8, ptr %pair, i32 {size}
  %found = icmp eq {word} %kind, {_AT_HWCAP}
  br i1 %found, label %compare, label %look
compare:
  %value = load volatile {word}, ptr %value.at, align {size}
  %has = and {word} %value, {bits}
  %ok = icmp eq {word} %has, {bits}
  ret i1 %ok
unknown:
  ret i1 true
}}
"""
