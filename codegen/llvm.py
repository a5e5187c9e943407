"""The one typed door to llvmlite: IR text in, object bytes or assembly out.

Nothing of llvmlite is imported before the first call. Modules get no IR optimisation pipeline: they arrive in
final form, and LLVM does instruction selection, scheduling and register allocation.

This module is imported by the compile workers, so it must import nothing heavy of mlc's own.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

OPT_LEVEL = 2


class LlvmError(Exception):
    """LLVM refused a module: its text does not parse, does not verify, or the target is unknown."""


@dataclass(frozen=True)
class Machine:
    """What LLVM must know of a target; ``triple`` has four components, ``features`` reads ``+avx2,-sse4a``, and
    ``abi`` names a calling convention that the triple does not imply, ``relocation`` is ``pic`` or ``static``.
    """

    triple: str
    cpu: str = ""
    features: str = ""
    abi: str = ""
    relocation: str = "pic"


@functools.cache
def _llvm() -> Any:
    """llvmlite's binding module with every target and printer initialised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import llvmlite.binding as llvm  # pyright: ignore[reportMissingTypeStubs]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm


def initialize() -> None:
    """Import llvmlite and initialise its targets now instead of at the first compilation."""
    _llvm()


@functools.lru_cache(maxsize=16)
def _target_machine(machine: Machine) -> Any:
    llvm = _llvm()
    if machine.triple.count("-") != 3:
        raise LlvmError(f"triple {machine.triple!r} must have four components, or LLVM misreads it")
    try:
        target = llvm.Target.from_triple(machine.triple)
    except RuntimeError as error:
        raise LlvmError(str(error)) from error
    return target.create_target_machine(
        cpu=machine.cpu,
        features=machine.features,
        opt=OPT_LEVEL,
        reloc=machine.relocation,
        codemodel="default",
        abiname=machine.abi,
    )


def _module(machine: Machine, ir: str) -> tuple[Any, Any]:
    """The target machine and the parsed, verified module with the machine's triple and data layout."""
    target_machine = _target_machine(machine)
    try:
        module = _llvm().parse_assembly(ir)
        module.triple = machine.triple
        module.data_layout = str(target_machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise LlvmError(str(error).strip()) from error
    return target_machine, module


def emit_object(machine: Machine, ir: str) -> bytes:
    """The relocatable object of one module of IR text.

    Raises LlvmError when the text is bad. What LLVM can't select for this machine aborts the process:
    ``mlc.codegen.object`` keeps a child between that and the user.
    """
    target_machine, module = _module(machine, ir)
    with module:
        return bytes(target_machine.emit_object(module))


def emit_assembly(machine: Machine, ir: str) -> str:
    """The assembly (or PTX) text of one module of IR text; raises LlvmError as ``emit_object`` does."""
    target_machine, module = _module(machine, ir)
    with module:
        return str(target_machine.emit_assembly(module))


def link_modules(machine: Machine, texts: Sequence[str], exports: Collection[str]) -> str:
    """One module of several, as IR text; what is not in ``exports`` is seen by nobody else. Raises LlvmError."""
    _, module = _module(machine, texts[0])
    try:
        for text in texts[1:]:
            module.link_in(_module(machine, text)[1])
    except RuntimeError as error:
        raise LlvmError(str(error).strip()) from error
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name not in exports:
            value.linkage = "internal"
    return str(module)


@functools.cache
def host_triple() -> str:
    """The four-component triple of this process, as LLVM names it."""
    return str(_llvm().get_process_triple())


@functools.cache
def host_cpu() -> str:
    """LLVM's name of the processor that runs this process (``znver4``, ``neoverse-n1``)."""
    return str(_llvm().get_host_cpu_name())


@functools.cache
def host_features() -> frozenset[str]:
    """LLVM's names of the features that this processor and operating system offer."""
    return frozenset(name for name, on in _llvm().get_host_cpu_features().items() if on)


@functools.cache
def host_lacks() -> frozenset[str]:
    """LLVM's names of the features that it knows of and that this processor or operating system does not offer."""
    return frozenset(name for name, on in _llvm().get_host_cpu_features().items() if not on)


def version() -> str:
    """LLVM's version, for cache keys and metadata."""
    return ".".join(map(str, _llvm().llvm_version_info))
