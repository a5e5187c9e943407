"""Processors by name: the tables agree with LLVM, names resolve to features, and what is unknown names the nearest."""

from __future__ import annotations

import functools
import subprocess
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlc.codegen.program import Program, program_ir
from mlc.codegen.targets import all_targets, find_target, native_target, resolve
from mlc.codegen.targets.cpus import Cpu, Family, families
from mlc.codegen.targets.triples import parse_triple
from mlc.errors import UsageError

TRIPLES = {
    "x86_64": "x86_64-unknown-linux-gnu",
    "aarch64": "aarch64-unknown-linux-gnu",
    "armv7": "armv7-unknown-linux-gnueabihf",
    "riscv64": "riscv64-unknown-linux-gnu",
}
NO_OBSTACLE = {"cx16"}
"""Features that LLVM inlines across whether the caller has them or not."""
FAMILIES = list(families().values())
FAMILY_IDS = [family.architecture for family in FAMILIES]
ALL_CPUS = [(family, cpu) for family in FAMILIES for cpu in family.cpus]


@functools.cache
def llvm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import llvmlite.binding as binding  # pyright: ignore[reportMissingTypeStubs]
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


def features_by_llvm(triple: str, cpu: str, names: list[str]) -> set[str]:
    """Which of the features LLVM gives a CPU.

    LLVM inlines a function only into one whose features include its own: a callee for the CPU and one feature more
    goes into a caller for the CPU alone just when the CPU has that feature.
    """
    parts = [f'target triple = "{triple}"\nattributes #0 = {{ "target-cpu"="{cpu}" }}']
    for number, name in enumerate(names, 1):
        parts.append(f"""define internal i32 @callee{number}(i32 %x) #{number} {{
  %y = mul i32 %x, {number + 2}
  ret i32 %y
}}
define i32 @caller{number}(i32 %x) #0 {{
  %y = call i32 @callee{number}(i32 %x)
  ret i32 %y
}}
attributes #{number} = {{ "target-cpu"="{cpu}" "target-features"="+{name}" }}""")
    binding = llvm()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, reloc="pic", codemodel="default")
    module = binding.parse_assembly("\n".join(parts))
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    return {name for number, name in enumerate(names, 1) if " call " not in str(module.get_function(f"caller{number}"))}


@pytest.mark.parametrize(("family", "cpu"), ALL_CPUS, ids=[f"{f.architecture} {c.name}" for f, c in ALL_CPUS])
def test_the_table_agrees_with_llvm(family: Family, cpu: Cpu) -> None:
    # LLVM ends the process when asked for vectors on a RISC-V CPU without them.
    names = [f.name for f in family.features if "v" not in family.closed([f.name]) or "v" in cpu.features]
    names = [name for name in names if name not in NO_OBSTACLE]
    assert features_by_llvm(TRIPLES[family.architecture], cpu.name, names) == cpu.features - NO_OBSTACLE


def test_the_comparison_with_llvm_can_fail() -> None:
    assert features_by_llvm(TRIPLES["aarch64"], "cortex-a53", ["neon", "dotprod"]) == {"neon"}


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_llvm_knows_every_name(family: Family) -> None:
    """LLVM only warns of names that it does not know, on its standard error."""
    script = "\n".join(
        (
            "import sys, llvmlite.binding as llvm",
            "llvm.initialize_all_targets()",
            "triple, features, *cpus = sys.argv[1:]",
            "target = llvm.Target.from_triple(triple)",
            "for cpu in cpus:",
            "    target.create_target_machine(cpu=cpu, features=features if cpu == cpus[-1] else '').target_data",
        )
    )
    features = ",".join(f"+{feature.name}" for feature in family.features)
    command = [TRIPLES[family.architecture], features, *(cpu.name for cpu in family.cpus)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *command], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize("family", FAMILIES, ids=FAMILY_IDS)
def test_tables_are_consistent(family: Family) -> None:
    names = [feature.name for feature in family.features]
    aliases = [alias for feature in family.features for alias in feature.aliases]
    assert len({*names, *aliases}) == len(names) + len(aliases)
    assert len({cpu.name for cpu in family.cpus}) == len(family.cpus)
    for feature in family.features:
        assert set(feature.implies) <= set(names)
        assert feature.text
    for cpu in family.cpus:
        assert cpu.features <= set(names)
        assert family.closed(cpu.features) == cpu.features, cpu.name


HERE = [target for target in all_targets().values() if target.triple.partition("-")[0] in ("x86_64", "aarch64")]


@pytest.mark.parametrize("name", sorted({target.triple.partition("-")[0] for target in HERE}))
def test_every_cpu_has_a_check_at_load(name: str) -> None:
    for cpu in families()[name].cpus:
        target = resolve(name, cpu.name)
        assert "define internal i1 @toy_cpu_ok()" in program_ir(
            Program("toy", (), (), (), 0, 0, "", target, threads=False)
        )


def test_a_cpu_brings_its_features_and_width() -> None:
    zen = resolve("x86-64", "znver4")
    assert (zen.name, zen.tune, zen.vector_bytes) == ("x86-64-v4", "znver4", 64)
    assert "avx512bf16" in zen.features
    narrow = resolve("x86-64-v3", "znver4")
    assert (narrow.vector_bytes, narrow.features) == (32, zen.features)
    a76 = resolve("aarch64", "cortex-a76")
    assert {"dotprod", "fullfp16"} <= a76.features
    assert "dotprod" not in resolve("aarch64", "cortex-a53").features
    assert resolve("aarch64", "cortex-a55").in_order


def test_features_follow_what_they_imply() -> None:
    assert {"fullfp16", "fp16fml"} <= resolve("aarch64", "", "+fhm").features
    bare = resolve("aarch64", "cortex-a76", "-neon")
    assert not {"neon", "dotprod", "rdm"} & bare.features
    assert "fullfp16" in bare.features
    plain = resolve("x86-64-v3", "", "-fma")
    assert (plain.fma, plain.half) == (False, True)
    assert resolve("native", "", "+avx2,-avx2").vector_bytes <= 16 or not native_target().triple.startswith("x86")


def test_triples_are_targets() -> None:
    assert resolve("aarch64-linux-gnu") is resolve("aarch64-linux-gnu")
    assert resolve("arm64-apple-macos14", "apple-m1").triple == "aarch64-apple-macosx11.0-macho"
    assert resolve("x86_64-pc-windows-msvc", "haswell").triple == "x86_64-pc-windows-msvc"
    assert resolve("x86_64-linux-musl").triple == "x86_64-unknown-linux-musl"
    for text in ("", "linux", "aarch64-plan9", "aarch64-linux-gnu-x", "sparc-linux-gnu", "x86_64-linux-"):
        assert parse_triple(text) is None
    for target in HERE:
        found = parse_triple(target.triple)
        assert found is not None
        assert found.text == target.triple


NAMES = ["x86-64", "x86-64-v1", "aarch64", "aarch64-linux-musl", "armv7", "riscv64", "native"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_designation_finds_the_target_again(data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["x86-64", "x86-64-v1", "aarch64", "aarch64-linux-musl", "armv7", "riscv64", "native"])
    )
    architecture = resolve(name).triple.partition("-")[0]
    family = families()[architecture]
    cpu = data.draw(st.sampled_from(["", *(cpu.name for cpu in family.cpus)]))
    words = data.draw(st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from(sorted(family.by_name))), max_size=3))
    target = resolve(name, cpu, ",".join(map("".join, words)))
    assert find_target(target.designation) == target
    assert family.closed(target.features) - target.features <= family.closed(resolve(name).features)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("aarch64", "cortex-a67"), "unknown aarch64 CPU 'cortex-a67' (did you mean 'cortex-a"),
        (("aarch64", "", "+dotprd"), "unknown aarch64 feature 'dotprd' (did you mean 'dotprod'?"),
        (("aarch64", "", "dotprod"), "bad feature 'dotprod' in --mattr (write +"),
        (("x86-64", "cortex-a76"), "cortex-a76 is no x86_64 CPU (pass --target=aarch64)"),
        (("x86-64-v4", "haswell"), "haswell lacks avx512bw, avx512cd, avx512dq, avx512f, avx512vl, which"),
        (("x86-64-v7",), "unknown target 'x86-64-v7' (did you mean 'x86-64-v4'?"),
        (("aarch64", "native"), "--mcpu=native is the machine that runs this, not aarch64"),
        (("cuda-sm80", "sm_90"), "target 'cuda-sm80' has no choice of CPUs and features"),
    ],
)
def test_unknown_names_advise(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(*arguments)
    assert error.value.describe().startswith(words)
