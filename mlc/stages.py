"""Stages of a compilation as files: ``--emit`` writes them, and the compiler goes on from those that are IR.

IR that refers to weights stands beside a ``.safetensors`` file of them; digests are checked when it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from mlc import knobs
from mlc.codegen.image import write_atomic
from mlc.codegen.object import compile_assembly
from mlc.codegen.program import program_ir
from mlc.dialects.bounds import bounds_of
from mlc.dialects.weights import WeightStore
from mlc.dialects.weights_attr import WeightAttr
from mlc.driver import TEXT_STAGES, Compilation, flops_of, identifier, signature_of
from mlc.errors import ModelError, UsageError
from mlc.pass_manager import PassManager, Watch, print_ir
from mlc.pipeline import STAGES, Options
from mlc.registry import make_context

if TYPE_CHECKING:
    from mlc.build import Frame
    from mlc.frontends.onnx.load import LoadedModel

WEIGHTS_SUFFIX = ".safetensors"
MAX_TEXT_BYTES = 1 << 30

_ENDS = (STAGES["llvm"], STAGES["asm"], STAGES["obj"], ".ptx", ".so", ".a", ".wasm")


@dataclass
class StageWriter:
    """Writes stages to ``base`` plus each stage's extension; ``written`` are the paths so far."""

    base: Path
    written: list[Path] = field(default_factory=list[Path])
    weights: dict[str, None] = field(default_factory=dict[str, None])

    def onnx(self, model: LoadedModel) -> None:
        """The model as it was loaded: sorted, of one opset, its weights inside."""
        from onnx import ModelProto, numpy_helper

        proto = ModelProto()
        proto.CopyFrom(model.proto)
        for tensor in proto.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(model.array(tensor), tensor.name))
        self._write("onnx", proto.SerializeToString(deterministic=True))

    def text(self, compilation: Compilation) -> None:
        """The IR at its present stage."""
        self.weights.update(dict.fromkeys(seal(compilation.module, compilation.weights)))
        self._write(compilation.stage, print_ir(compilation.module).encode())

    def llvm(self, frame: Frame) -> None:
        """The LLVM IR of the frame and of each kernel: modules of their own, one after the other."""
        self._write("llvm", _joined(_modules(frame), ";").encode())

    def assembly(self, frame: Frame) -> None:
        """The assembly (PTX for GPUs) of the same."""
        target = frame.program.target
        texts = [(name, compile_assembly(name, ir, target)) for name, ir in _modules(frame)]
        gpu = target.kind == "gpu"
        self._write("asm", _joined(texts, "//" if gpu else "#").encode(), ".ptx" if gpu else STAGES["asm"])

    def finish(self, store: WeightStore) -> None:
        """The weights that the written IR refers to."""
        if self.weights:
            path = self.base.with_name(self.base.name + WEIGHTS_SUFFIX)
            store.save_safetensors(path, self.weights)
            self.written.append(path)

    def _write(self, stage: str, content: bytes, suffix: str = "") -> None:
        path = self.base.with_name(self.base.name + (suffix or STAGES[stage]))
        write_atomic(path, [content])
        self.written.append(path)


def _modules(frame: Frame) -> list[tuple[str, str]]:
    """Name and IR text of every module: the frame, which calls the kernels on a CPU, and the kernels."""
    if frame.program.target.kind == "gpu":
        return frame.kernels
    return [(frame.program.name, program_ir(frame.program)), *frame.kernels]


def _joined(texts: Iterable[tuple[str, str]], comment: str) -> str:
    return "\n".join(f"{comment} ----- {name}\n{text}" for name, text in texts)


def seal(module: ModuleOp, store: WeightStore) -> list[str]:
    """Identify each weight that ``module`` refers to by its values, as text must; returns their names."""
    names: list[str] = []
    for op, attr in _references(module):
        name = attr.key.data
        op.properties["value"] = WeightAttr(name, store.digest(name))
        names.append(name)
    return names


def _references(module: ModuleOp) -> list[tuple[Operation, WeightAttr]]:
    found = [(op, op.properties.get("value")) for op in module.walk()]
    return [(op, attr) for op, attr in found if isinstance(attr, WeightAttr)]


def stage_of(path: Path) -> str | None:
    """The stage whose text a file holds, by its extension; None for a model.

    Raises UsageError for what a compilation ends with, and for IR of which the extension tells no stage.
    """
    if path.suffix in _ENDS:
        raise UsageError(
            f"{path}: what mlc writes as {path.suffix} is not read again",
            hint=f"go on from {', '.join(STAGES[stage] for stage in TEXT_STAGES)}",
        )
    if path.suffix != ".mlir":
        return None
    found = next((stage for stage in TEXT_STAGES if path.name.endswith(STAGES[stage])), None)
    if found is None:
        valid = ", ".join(STAGES[stage] for stage in TEXT_STAGES)
        raise UsageError(f"{path}: the extension does not say which stage this is", hint=f"valid: {valid}")
    return found


def base_of(path: Path) -> Path:
    """The path without the extension of a stage or an artefact."""
    suffixes: Sequence[str] = sorted((*STAGES.values(), ".so", ".a", ".wasm"), key=len, reverse=True)
    suffix = next((s for s in suffixes if path.name.endswith(s) and path.name != s), "")
    return path.with_name(path.name.removesuffix(suffix))


def resume(path: Path, options: Options, *, name: str | None = None, watch: Watch | None = None) -> Compilation:
    """The compilation that goes on from a text stage. ModelError for text that is not valid IR of it."""
    stage = stage_of(path)
    if stage is None:
        raise UsageError(f"{path} is no stage's text")
    weights = _weights_beside(path)
    context = make_context(weights=weights)
    module = _parse(path, PassManager(context))
    for _, attr in _references(module):
        key = attr.key.data
        if key not in weights:
            raise ModelError(f"weight {key!r} is in no file beside {path}")
        if weights.digest(key) != attr.digest.data:
            raise ModelError(f"weight {key!r} beside {path} is not the one that the IR was made for")
    inputs, outputs = signature_of(module)
    manager = PassManager(context, watch or Watch(verify_each=knobs.VERIFY_EACH.get()))
    title = identifier(name or base_of(path).name)
    return Compilation(
        title, module, options, manager, weights, inputs, outputs, stage, flops_of(module), bounds=bounds_of(module)
    )


def _weights_beside(path: Path) -> WeightStore:
    beside = base_of(path).with_name(base_of(path).name + WEIGHTS_SUFFIX)
    return WeightStore.load_safetensors(beside) if beside.exists() else WeightStore()


def _parse(path: Path, manager: PassManager) -> ModuleOp:
    from mlc.cli.opt import Chunk, parse_module

    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ModelError(f"{path} is larger than {MAX_TEXT_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"can't open {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"not UTF-8 text: {error.reason} at byte {error.start}", node=str(path)) from None
    return parse_module(Chunk(str(path), text), manager.context)
