"""The table of importers: one function per ONNX operator, found by domain and name."""

from __future__ import annotations

import importlib
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


@cache
def importers() -> Mapping[tuple[str, str], Importer]:
    """All importers by (domain, operator); loads every module of `mlc.frontends.onnx.ops`."""
    for module in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"{ops.__name__}.{module.name}")
    return MappingProxyType(_TABLE)
