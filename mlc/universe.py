"""mlc's dialects and passes as stock ``xdsl-opt`` sees them, through the entry point group ``xdsl.universe``.

xDSL refuses two universes that share a name, so only mlc's own dialects are here, and every pass is called
``mlc-NAME``.
"""

from __future__ import annotations

from xdsl.passes import ModulePass
from xdsl.universe import Universe

from mlc.registry import DIALECTS, PassFactory, lazy, pass_files


def _prefixed(name: str, factory: PassFactory) -> PassFactory:
    def load() -> type[ModulePass]:
        base = factory()
        return type(base.__name__, (base,), {"name": f"mlc-{name}", "__module__": base.__module__})

    return load


UNIVERSE = Universe(
    all_dialects={name: lazy(path) for name, path in DIALECTS.items() if path.startswith("mlc.")},
    all_passes={f"mlc-{name}": _prefixed(name, lazy(path)) for name, path in pass_files().items()},
)
