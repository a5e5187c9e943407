"""Vectors of which only the first lanes exist in memory."""

from __future__ import annotations

from dataclasses import dataclass

from mlc.codegen.emit.writer import Writer

_SUFFIX = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64"}


@dataclass(frozen=True)
class Partial:
    """The first ``valid`` of ``width`` lanes of type ``stored`` (``float``, ``i8``), each of ``size`` bytes.

    A power of two of them is a shorter vector, the rest goes through masked instructions. (LLVM 22 writes four bytes
    where a masked store of one truncated byte is asked for.)
    """

    stored: str
    size: int
    width: int
    valid: int

    @property
    def _type(self) -> str:
        return f"<{self.width} x {self.stored}>"

    @property
    def _is_short(self) -> bool:
        return self.valid & (self.valid - 1) == 0

    @property
    def _part(self) -> str:
        return self.stored if self.valid == 1 else f"<{self.valid} x {self.stored}>"

    def load(self, out: Writer, address: str) -> str:
        """The vector; lanes that do not exist are zero."""
        if not self._is_short:
            name = f"llvm.masked.load.{self._suffix}.p0"
            out.declare(name, f"{self._type} @{name}(ptr, i32, <{self.width} x i1>, {self._type})")
            arguments = f"ptr {address}, i32 {self.size}, {self._mask}, {self._type} zeroinitializer"
            return out.value(f"call {self._type} @{name}({arguments})")
        part = out.value(f"load {self._part}, ptr {address}, align {self.size}")
        if self.valid == 1:
            return out.value(f"insertelement {self._type} zeroinitializer, {self.stored} {part}, i64 0")
        lanes = self._lanes([min(i, self.valid) for i in range(self.width)])
        return out.value(f"shufflevector {self._part} {part}, {self._part} zeroinitializer, {lanes}")

    def store(self, out: Writer, value: str, address: str) -> None:
        """Write the lanes that exist."""
        if not self._is_short:
            name = f"llvm.masked.store.{self._suffix}.p0"
            out.declare(name, f"void @{name}({self._type}, ptr, i32, <{self.width} x i1>)")
            out.emit(f"  call void @{name}({self._type} {value}, ptr {address}, i32 {self.size}, {self._mask})")
            return
        if self.valid == 1:
            part = out.value(f"extractelement {self._type} {value}, i64 0")
        else:
            lanes = self._lanes(list(range(self.valid)))
            part = out.value(f"shufflevector {self._type} {value}, {self._type} poison, {lanes}")
        out.emit(f"  store {self._part} {part}, ptr {address}, align {self.size}")

    @property
    def _suffix(self) -> str:
        return f"v{self.width}{_SUFFIX.get(self.stored, self.stored)}"

    @property
    def _mask(self) -> str:
        bits = ", ".join(f"i1 {'true' if i < self.valid else 'false'}" for i in range(self.width))
        return f"<{self.width} x i1> <{bits}>"

    @staticmethod
    def _lanes(lanes: list[int]) -> str:
        return f"<{len(lanes)} x i32> <" + ", ".join(f"i32 {i}" for i in lanes) + ">"
