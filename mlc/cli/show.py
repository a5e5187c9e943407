"""What commands print: JSON that every parser takes, and counts in words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast


def show_json(report: object) -> None:
    """Print a report as JSON; numbers that JSON does not know (NaN, infinities) as null."""
    print(json.dumps(_finite(report), indent=2, allow_nan=False))


def counted(count: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[Any]", value)]
    return value
