"""What passes share beside the IR: the dialects, and the weights that ``#mlc.weight`` refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.ir import Dialect

from mlc.dialects.weights import WeightStore


@dataclass
class CompilerContext(Context):
    """An xDSL context that also holds the weight store of the module being compiled.

    Passes that read or derive weights ask `weights_of`; under a plain ``Context`` they leave weights alone.
    """

    weights: WeightStore = field(default_factory=WeightStore)

    @staticmethod
    def of(dialects: Mapping[str, Callable[[], Dialect]], weights: WeightStore | None = None) -> CompilerContext:
        """A context that loads each of ``dialects`` when its first operation or attribute is met."""
        context = CompilerContext(weights=WeightStore() if weights is None else weights)
        for name, factory in dialects.items():
            context.register_dialect(name, factory)
        context.load_registered_dialect("builtin")
        return context


def weights_of(context: Context) -> WeightStore | None:
    """The weight store that passes may read and add to, or ``None`` where nothing is known of weights."""
    return context.weights if isinstance(context, CompilerContext) else None
