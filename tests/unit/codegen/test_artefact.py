"""What is shipped, as a C program sees it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlc.codegen.artefact import Artefact
from mlc.codegen.header import header_text
from mlc.codegen.jit import Library, Session
from mlc.codegen.program import Program, TensorSpec
from mlc.codegen.steps import BufferRef, Call
from mlc.codegen.targets.base import Target
from mlc.codegen.weights import WeightsImage, digest, write_weights
from mlc.errors import InternalError, UsageError

EXAMPLE = Path(__file__).parents[3] / "examples" / "c"
Kernel = tuple[str, str]
WEIGHTS = np.arange(4096, dtype=np.float32).tobytes()
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.weights"
    write_weights(path, len(WEIGHTS), digest([WEIGHTS]), [WEIGHTS])
    return path


Make = Callable[..., Artefact]


@pytest.fixture
def make(x86_64: Target, add_kernel: Kernel, weights: Path) -> Make:
    def make(*, embedded: bool = False, threads: bool = True, name: str = "model", target: Target = x86_64) -> Artefact:
        spec = TensorSpec("x", "float32", (4096,))
        call = Call("add", (BufferRef("input"), BufferRef("weights"), BufferRef("output")))
        program = Program(
            name, (spec,), (spec,), (call,), 0, len(WEIGHTS), digest([WEIGHTS]), target, threads,
            embedded_weights=embedded,
        )  # fmt: skip
        return Artefact.compile(program, [add_kernel], jobs=1, weights=weights)

    return make


def _run(command: list[str], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_gcc
@pytest.mark.parametrize("embedded", [False, True], ids=["file", "embedded"])
@pytest.mark.parametrize("form", ["object", "archive", "shared_library"])
def test_the_example_runs(make: Make, tmp_path: Path, form: str, embedded: bool) -> None:
    artefact = make(embedded=embedded)
    suffix = {"object": "model.o", "archive": "libmodel.a", "shared_library": "libmodel.so"}[form]
    getattr(artefact, f"write_{form}")(tmp_path / suffix)
    artefact.write_header(tmp_path / "model.h")
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I."]
    link = [suffix, "-Wl,-rpath,.", "-Wl,--fatal-warnings", "-pthread"]
    _run(["gcc", *flags, "-o", "main", str(EXAMPLE / "main.c"), *link], tmp_path)
    arguments = [] if embedded else ["model.weights"]
    assert "out[0]: 0 1 2 3 4 5 6 7\n" in _run(["./main", *arguments], tmp_path)
    if not embedded:
        refused = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stderr) == (1, "model_init: status 3\n")


@needs_gcc
def test_the_example_makefile_links_what_is_built(make: Make, tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    artefact = make(embedded=True)
    artefact.write_archive(build / "libmodel.a")
    artefact.write_header(build / "model.h")
    output = _run(["make", "-s", "-C", str(EXAMPLE), f"BUILD={build}"], tmp_path)
    assert "out[0]: 0 1 2 3 4 5 6 7\n" in output


@needs_gcc
def test_without_threads_the_libc_is_not_needed(make: Make, tmp_path: Path) -> None:
    make(threads=False, embedded=True).write_shared_library(tmp_path / "model.so")
    assert not _run(["nm", "-D", "--undefined-only", "model.so"], tmp_path)
    assert "NEEDED" not in _run(["readelf", "-d", "model.so"], tmp_path)


@needs_gcc
@pytest.mark.parametrize(
    ("compiler", "standard"), [("gcc", "c99"), ("gcc", "c11"), ("gcc", "c2x"), ("g++", "c++11"), ("g++", "c++20")]
)
def test_headers_of_two_models_compile_together(make: Make, tmp_path: Path, compiler: str, standard: str) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.h").write_text(make(name=name).header())
    source = tmp_path / ("t.cc" if compiler == "g++" else "t.c")
    source.write_text(
        '#include "first.h"\n#include "second.h"\n#include "first.h"\n'
        "int f(first_ctx *a, second_ctx *b);\n"
        "int f(first_ctx *a, second_ctx *b) { first_free(a); second_free(b); return (int)sizeof *a; }\n"
    )
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", f"-std={standard}", "-c", source.name]
    _run([compiler, *flags], tmp_path)


@needs_gcc
@pytest.mark.parametrize("name", ["*/ int evil; /*", "/*/", "**//", "a\nb", "\\\n", "??/", "é\0"])
def test_tensor_names_stay_in_comments(x86_64: Target, tmp_path: Path, name: str) -> None:
    program = Program("toy", (TensorSpec(name, "int8", ()),), (), (), 0, 0, "", x86_64)
    text = header_text(program)
    assert "evil;" not in text
    (tmp_path / "toy.h").write_text(text)
    (tmp_path / "t.c").write_text('#include "toy.h"\n')
    _run(["gcc", "-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c11", "-c", "t.c"], tmp_path)


def test_a_written_library_loads(make: Make, tmp_path: Path, weights: Path) -> None:
    make().write_shared_library(tmp_path / "model.so")
    library = Library.open(tmp_path / "model.so")
    x, y = np.ones(4096, np.float32), np.empty(4096, np.float32)
    with Session(library, "model", weights=WeightsImage.open(weights)) as session:
        session.run_raw([x.ctypes.data], [y.ctypes.data])
    np.testing.assert_array_equal(y, np.arange(4096, dtype=np.float32) + 1)


def test_builds_are_reproducible(make: Make) -> None:
    for form in ("shared_library", "relocatable", "archive"):
        assert getattr(make(), form)().to_bytes() == getattr(make(), form)().to_bytes()


def test_calls_of_the_c_library_are_refused(x86_64: Target) -> None:
    """LLVM makes a call of ``frem``; the kernel that needs it is named."""
    text = (
        "define void @modulo(ptr %a, i64 %t, i64 %n) nounwind {\n"
        "  %x = load float, ptr %a\n  %y = frem float %x, 3.0\n  store float %y, ptr %a\n  ret void\n}\n"
    )
    program = Program("toy", (), (), (Call("modulo", (BufferRef("arena"),)),), 64, 0, "", x86_64)
    artefact = Artefact.compile(program, [("modulo", text)], jobs=1)
    for form in (artefact.shared_library, artefact.relocatable, artefact.archive):
        with pytest.raises(InternalError, match="modulo: the code needs fmodf"):
            form()


def test_refusals(make: Make, x86_64: Target, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't write"):
        make().write_object(tmp_path / "missing" / "model.o")
    without = Artefact(make(embedded=True).program, ())
    with pytest.raises(InternalError, match="embeds its weights"):
        without.relocatable()
