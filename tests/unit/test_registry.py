"""Dialects and passes are found by name, loaded late, and extended by plugins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import XDSL_UNIVERSE

from mlc import registry
from mlc.errors import UsageError
from mlc.registry import Plugin, dialects, load_pass, make_context, parse_passes, pass_files, passes
from mlc.universe import UNIVERSE


@dataclass(frozen=True)
class PluginPass(ModulePass):
    """A pass from elsewhere."""

    name = "from-a-plugin"
    sizes: tuple[int, ...] = (1,)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.attributes.clear()


@dataclass(frozen=True)
class FakeEntryPoint:
    name: str
    value: object

    def load(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def fresh() -> Iterator[None]:
    """The registry before and after forgets what it found."""

    def forget() -> None:
        for cached in (dialects, passes, registry.plugins):
            cached.cache_clear()

    forget()
    yield
    forget()


def install(monkeypatch: pytest.MonkeyPatch, **plugins: object) -> None:
    def entry_points(*, group: str) -> list[FakeEntryPoint]:
        assert group == "mlc.plugins"
        return [FakeEntryPoint(name, value) for name, value in plugins.items()]

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("name", dialects())
def test_dialects_load_under_their_name(name: str) -> None:
    assert dialects()[name]().name == name


@pytest.mark.parametrize("name", passes())
def test_passes_load_under_their_name(name: str) -> None:
    loaded = load_pass(name)
    assert issubclass(loaded, ModulePass)
    assert loaded.name == name


@pytest.mark.parametrize("name", pass_files())
def test_passes_of_ours_say_what_they_do(name: str) -> None:
    loaded = load_pass(name)
    assert loaded.__doc__
    assert not loaded.__doc__.startswith(f"{loaded.__name__}(")


def test_a_context_loads_nothing_until_asked() -> None:
    context = make_context()
    assert [dialect.name for dialect in context.loaded_dialects] == ["builtin"]
    assert set(context.registered_dialect_names) == set(dialects())
    assert context.get_op("func.func").name == "func.func"


def test_listing_passes_imports_none() -> None:
    script = (
        "import sys; from mlc.registry import passes; passes();"
        "sys.exit(any(m.startswith(('xdsl', 'mlc.lowering.')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_pipelines_are_parsed_in_order() -> None:
    assert [item.name for item in parse_passes("cse,dce,cse")] == ["cse", "dce", "cse"]
    assert parse_passes("") == ()


@pytest.mark.usefixtures("fresh")
def test_plugins_add_dialects_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = Dialect("elsewhere", [], [])
    install(monkeypatch, good=Plugin({"elsewhere": lambda: dialect}, {"from-a-plugin": lambda: PluginPass}))
    assert make_context().get_dialect("elsewhere") is dialect
    assert parse_passes("from-a-plugin{sizes=4,16}") == (PluginPass((4, 16)),)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Plugin(passes={"cse": lambda: PluginPass}), "adds the pass 'cse', which mlc has"),
        (ImportError("no module named x"), "can't be loaded: ImportError"),
        ({"passes": []}, "is a dict, not an mlc.registry.Plugin"),
    ],
)
def test_bad_plugins_are_named(plugin: object, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, broken=plugin)
    with pytest.raises(UsageError, match=f"plugin 'broken' {reason}"):
        passes()


@pytest.mark.usefixtures("fresh")
def test_plugins_that_clash_name_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin(passes={"from-a-plugin": lambda: PluginPass})
    install(monkeypatch, first=plugin, second=plugin)
    with pytest.raises(UsageError, match="'second' adds the pass 'from-a-plugin', which plugin 'first' has"):
        passes()


def test_stock_xdsl_sees_ours_under_names_of_their_own() -> None:
    assert set(UNIVERSE.all_passes) == {f"mlc-{name}" for name in pass_files()}
    assert {"hlt", "loop"} <= set(UNIVERSE.all_dialects)
    for name, factory in UNIVERSE.all_passes.items():
        assert factory().name == name


def test_stock_xdsl_has_none_of_our_names() -> None:
    assert not set(UNIVERSE.all_dialects) & set(XDSL_UNIVERSE.all_dialects)
    assert not set(UNIVERSE.all_passes) & set(XDSL_UNIVERSE.all_passes)
