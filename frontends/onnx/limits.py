"""How much of a model file is believed before it is refused.

A model is untrusted input. Every figure here is counted on the bytes of the file or in Python integers,
before anything of that size is built, so that a small hostile file can't ask for much memory or time.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlc.errors import ModelError


@dataclass(frozen=True)
class Limits:
    """Upper bounds on a model; exceeding one raises ``ModelError`` naming the limit.

    Sizes are in bytes, everything else is a count. Raise a limit with ``dataclasses.replace`` or by keyword.
    """

    file_bytes: int = 1 << 31
    """The model file itself; protobuf's own limit is 2 GiB."""
    structure_bytes: int = 1 << 27
    """What is left of the model file once tensor payloads are taken out."""
    fields: int = 8_000_000
    """Protobuf fields looked at while scanning."""
    nodes: int = 500_000
    """Nodes in all graphs and functions together."""
    expanded_nodes: int = 1_000_000
    """Nodes after every call of a model-local function is expanded."""
    nesting: int = 24
    """Depth of graphs inside nodes inside graphs; protobuf's own limit of 100 messages allows 32."""
    rank: int = 32
    """Dimensions of one tensor."""
    elements: int = 1 << 36
    """Elements of one tensor."""
    dense_bytes: int = 1 << 30
    """Bytes of one sparse initializer once it is made dense."""
    weight_bytes: int = 1 << 40
    """Bytes of all weights together, external files included."""
    attribute_values: int = 1 << 22
    """Numbers or strings in one list attribute."""
    external_files: int = 65_536
    """Different files of external data."""

    def check(self, limit: str, value: int, what: str) -> None:
        """Raise unless ``value`` is within the limit of that name; ``what`` names the culprit."""
        bound: int = getattr(self, limit)
        if value > bound:
            raise ModelError(f"{what}: {value} exceeds the limit of {bound}", hint=f"raise Limits.{limit}")


def element_count(dims: tuple[int, ...], what: str, limits: Limits) -> int:
    """The product of ``dims``, exactly.

    Raises ``ModelError`` on negative dims, too high a rank or too many elements; where a dim is 0, there may not be too
    many along the others either, since NumPy takes no such shape.
    """
    limits.check("rank", len(dims), f"{what}: rank")
    count = 1
    for dim in dims:
        if dim < 0:
            raise ModelError(f"{what}: negative dimension {dim} in shape {list(dims)}")
        count *= max(dim, 1)
        limits.check("elements", count, f"{what}: elements")
    return 0 if 0 in dims else count
