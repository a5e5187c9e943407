"""ONNX's operator definitions, with types: the stubs of ``onnx.defs`` lack function bodies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

from onnx import AttributeProto, FunctionProto, defs


class AttributeDefinition(Protocol):
    """One attribute of an operator; the default's type is UNDEFINED where there is none."""

    default_value: AttributeProto


class Formal(Protocol):
    """One declared input or output; ``type_str`` names a type variable or a type such as ``tensor(string)``."""

    type_str: str
    types: Collection[str]
    is_homogeneous: bool


class Schema(Protocol):
    """The part of ``onnx.defs.OpSchema`` that importing needs."""

    domain: str
    inputs: Sequence[Formal]
    outputs: Sequence[Formal]
    max_input: int
    attributes: Mapping[str, AttributeDefinition]
    has_function: bool
    has_context_dependent_function: bool
    function_body: FunctionProto
    function_opset_versions: Sequence[int]
    context_dependent_function_opset_versions: Sequence[int]

    def get_function_with_opset_version(self, version: int) -> bytes: ...

    def get_context_dependent_function_with_opset_version(
        self, version: int, node: bytes, input_types: Sequence[bytes]
    ) -> bytes: ...


def find_schema(name: str, version: int, domain: str) -> Schema | None:
    """ONNX's definition of an operator at opset ``version`` of ``domain``, None if there is none."""
    try:
        return cast(Schema, defs.get_schema(name, version, domain))
    except defs.SchemaError:
        return None


def default_attributes(schema: Schema | None) -> dict[str, AttributeProto]:
    """The attributes that have a default value."""
    if schema is None:
        return {}
    defaults = {name: attribute.default_value for name, attribute in schema.attributes.items()}
    return {name: value for name, value in defaults.items() if value.type != AttributeProto.UNDEFINED}


@dataclass(frozen=True)
class Signature:
    """What an operator takes: for each formal input its type variable ("" if types may differ) and allowed types."""

    formals: tuple[tuple[str, frozenset[str]], ...]
    most: int


@lru_cache(maxsize=512)
def find_signature(name: str, version: int, domain: str) -> Signature | None:
    """What an operator takes, None if ONNX does not define it."""
    schema = find_schema(name, version, domain)
    if schema is None:
        return None
    formals = [(f.type_str if f.is_homogeneous else "", frozenset(f.types)) for f in schema.inputs]
    return Signature(tuple(formals), schema.max_input)
