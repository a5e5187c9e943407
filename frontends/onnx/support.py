"""What becomes of each operator that ONNX and com.microsoft define: the facts behind the table of operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from onnx import TensorProto, defs

from mlc.frontends.onnx.dtypes import numpy_dtype
from mlc.frontends.onnx.parts import HOST_OPERATORS
from mlc.frontends.onnx.registry import importers

COMPILED, TAKEN_APART, CONVERTED, HOST, REFUSED = "compiled", "taken apart", "converted", "host", "not supported"
"""What becomes of an operator: by an importer of its own, by ONNX's definition of it as other operators, as the newer
operator that replaced it, by onnx's reference in Python, nothing."""

REASONS: Mapping[tuple[str, str], str] = {
    ("", "ImageDecoder"): "decodes files",
    ("", "MaxRoiPool"): "regions are data; RoiAlign is compiled",
    ("ai.onnx.preview.training", "Gradient"): "training",
}
"""Why operators are not compiled that could be thought to be."""

_NUMBERS: Iterable[tuple[str, int]] = TensorProto.DataType.items()
ELEMENT_NUMBERS: Mapping[str, int] = {name.lower(): number for name, number in _NUMBERS}


class TypeConstraint(Protocol):
    """A type variable of an operator."""

    type_param_str: str
    allowed_type_strs: Sequence[str]


@dataclass(frozen=True)
class Support:
    """One operator: its ``first`` and ``newest`` definition's opsets (None outside ONNX), what becomes of it and why.

    ``types`` are the element types that are taken for each type variable, by ONNX's names.
    """

    domain: str
    name: str
    first: int | None
    newest: int | None
    how: str
    reason: str
    types: Mapping[str, tuple[str, ...]]


@cache
def operators() -> tuple[Support, ...]:
    """Every operator by domain and name; experimental ones are left out."""
    history: dict[tuple[str, str], list[Any]] = {}
    for schema in defs.get_all_schemas_with_history():
        history.setdefault((schema.domain, schema.name), []).append(schema)
    return tuple(_support(key, history.get(key, [])) for key in sorted({*history, *importers()}))


def _support(key: tuple[str, str], schemas: Sequence[Any]) -> Support:
    versions: list[int] = [schema.since_version for schema in schemas]
    newest = max(schemas, key=lambda schema: schema.since_version, default=None)
    how = _how(key, newest)
    types = {} if newest is None or how in (HOST, REFUSED) else _types(newest.type_constraints)
    first, last = min(versions, default=None), max(versions, default=None)
    return Support(*key, first, last, how, _reason(key, how), types)


def _how(key: tuple[str, str], schema: Any) -> str:
    if key in importers():
        return COMPILED
    if schema.deprecated:
        return CONVERTED
    if key in HOST_OPERATORS:
        return HOST
    return TAKEN_APART if schema.has_function or schema.has_context_dependent_function else REFUSED


def _reason(key: tuple[str, str], how: str) -> str:
    if how not in (HOST, REFUSED):
        return ""
    return REASONS.get(key, "strings or maps" if how == HOST else "")


def _types(constraints: Iterable[TypeConstraint]) -> dict[str, tuple[str, ...]]:
    """The element types of tensors that hlt has, for each type variable that tensors may have."""
    taken: dict[str, tuple[str, ...]] = {}
    for constraint in constraints:
        elements = [_element(text) for text in constraint.allowed_type_strs]
        taken[constraint.type_param_str] = tuple(element for element in elements if element)
    return {name: elements for name, elements in taken.items() if elements}


def _element(text: str) -> str:
    """The element type in ``tensor(...)``, "" for what hlt lacks and for other kinds of values."""
    name = text.removeprefix("tensor(").removesuffix(")")
    return name if numpy_dtype(ELEMENT_NUMBERS.get(name, 0)) is not None else ""
