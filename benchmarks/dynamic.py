"""What a range of shapes costs: one code for all lengths, beside code for one length alone and other runtimes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx

from benchmarks.decoding import MODEL as DECODER
from benchmarks.decoding import Run, peers
from benchmarks.turns import interleaved, ratio
from benchmarks.zoo import build, inputs

ENCODER = "bert_base_dynamic"
LENGTHS = (1, 16, 64, 128, 256, 512)
PASTS = (15, 255, 1000)
LONGEST_PAST = 1023

Dims = Mapping[str, "int | str"]


def dynamic(threads: int = 1) -> Iterator[dict[str, Any]]:
    """One code for a range beside code for each length and onnxruntime, in turns: BERT's tokens, GPT-2's past."""
    example = inputs(ENCODER)
    whole: Dims = {"batch": 1, "seq": f"1..{LENGTHS[-1]}"}
    lengths = [({"batch": 1, "seq": n}, {k: np.resize(a[:1], (1, n)) for k, a in example.items()}) for n in LENGTHS]
    yield from _rows(ENCODER, build(ENCODER), whole, lengths, threads)
    model, one = build(DECODER), {"batch_size": 1, "sequence_length": 1}
    pasts = [{**one, "past_sequence_length": past} for past in PASTS]
    whole = {**one, "past_sequence_length": f"0..{LONGEST_PAST}"}
    yield from _rows(DECODER, model, whole, [(dims, _step(model, dims)) for dims in pasts], threads)


def _step(model: onnx.ModelProto, dims: Mapping[str, int]) -> dict[str, Any]:
    """Inputs of a decoder's step behind a past of random keys and values."""
    random, found = np.random.default_rng(0), dict[str, Any]()
    for value in model.graph.input:
        tensor = value.type.tensor_type
        names = [d.dim_param.split(" + ") if d.dim_param else [d.dim_value] for d in tensor.shape.dim]
        shape = [sum(dims[n] if isinstance(n, str) else n for n in parts) for parts in names]
        if tensor.elem_type == onnx.TensorProto.FLOAT:
            found[value.name] = random.standard_normal(shape).astype(np.float32)
        else:
            found[value.name] = np.ones(shape, np.int64)
    return found


def _rows(
    name: str, model: onnx.ModelProto, whole: Dims, cases: list[tuple[dict[str, int], dict[str, Any]]], threads: int
) -> Iterator[dict[str, Any]]:
    import mlc

    ranged = mlc.compile(model, dims=whole, threads=threads, cache=False)
    others = peers(model, threads)
    moving = next(dim for dim, spec in whole.items() if isinstance(spec, str))
    for dims, feeds in cases:
        alone = mlc.compile(model, dims=dims, threads=threads, cache=False)
        runs: dict[str, Run] = {"range": ranged.run, "alone": alone.run, **others}
        times = interleaved([lambda run=run, feeds=feeds: run(feeds) for run in runs.values()])
        found = dict(zip(runs, times))
        yield {
            "what": f"{name}, {dims[moving]} of {whole[moving]}",
            "threads": threads,
            "range ms": min(found["range"]) * 1e3,
            "alone ms": min(found["alone"]) * 1e3,
            **{f"vs {other}": ratio(found["range"], found[other]) for other in runs if other != "range"},
        }
