"""The table of importers: one function per ONNX operator, found by domain and name."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from mlc.frontends.onnx import ops
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.value import Entry

Importer: TypeAlias = Callable[[Builder, Node], "Entry | Sequence[Entry | None]"]

ImporterT = TypeVar("ImporterT", bound=Importer)

MICROSOFT = "com.microsoft"
MACHINE_LEARNING = "ai.onnx.ml"

_TABLE: dict[tuple[str, str], Importer] = {}


def onnx_op(*names: str, domain: str = "") -> Callable[[ImporterT], ImporterT]:
    """Registers a function as the importer of the operators ``names``.

    The function returns the node's outputs: one value (or list of tensors), or a sequence of them in which None
    stands for an output that it can't produce.
    """

    def register(importer: ImporterT) -> ImporterT:
        for name in names:
            if (domain, name) in _TABLE:
                raise ValueError(f"{domain}::{name} has two importers")
            _TABLE[domain, name] = importer
        return importer

    return register


def set_importer(domain: str, name: str, importer: Importer) -> None:
    """Make ``importer`` the one of an operator, whether or not it has one."""
    _TABLE[domain, name] = importer


def custom_operators() -> list[list[str]]:
    """Every operator that is registered from outside, with a digest of the code that imports it."""
    own = f"{ops.__name__}."
    found = [(key, importer) for key, importer in _TABLE.items() if not importer.__module__.startswith(own)]
    return sorted([*key, _digest(importer)] for key, importer in found)


def _digest(importer: Importer) -> str:
    """The SHA-256 of an importer's file (of a C operator's rule: see `COperator.rule`), or of code without a file."""
    rule: Callable[..., object] = getattr(importer, "rule", importer)
    digest = hashlib.sha256(repr(importer).encode() if rule is not importer else b"")
    try:
        with open(inspect.getsourcefile(rule) or "", "rb") as file:
            digest.update(file.read())
    except (OSError, TypeError):
        code = getattr(rule, "__code__", None)
        digest.update(repr((code and code.co_code, code and code.co_consts)).encode())
    return digest.hexdigest()


@cache
def importers() -> Mapping[tuple[str, str], Importer]:
    """All importers by (domain, operator); loads every module of `mlc.frontends.onnx.ops`."""
    for module in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"{ops.__name__}.{module.name}")
    return MappingProxyType(_TABLE)
