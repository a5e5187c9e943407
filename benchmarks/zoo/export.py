"""Write the transformer graphs in `graphs/` anew from their configurations (needs the extra `export`).

    python -m benchmarks.zoo.export [NAME...]

Nothing is downloaded: a network is made from its configuration, exported as its users export it, and stripped of
its weights. Nothing is simplified: the exporters' idioms are what a compiler has to cope with.
"""

# The type checker's environment has no PyTorch.
# pyright: basic, reportMissingImports=false

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import transformers
from onnx import numpy_helper
from torch import Tensor, nn

from benchmarks.zoo import shipped
from benchmarks.zoo.shipped import Fill

OPSET = {"dynamo": 18, "torchscript": 17}

# Near that of the embeddings of a trained GPT-2.
_EMBEDDING_STD = 0.1

# Initializers of at most so many elements stay literal.
_SMALL = 64
# Float initializers above this many elements must be known parameters.
_LARGE = 4096


class Encoder(nn.Module):
    """BERT or DistilBERT with positional inputs and plain outputs."""

    def __init__(self, network: nn.Module, keywords: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.keywords = keywords
        self.outputs = outputs

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        result = self.network(**dict(zip(self.keywords, inputs, strict=True)))
        return tuple(result[name] for name in self.outputs)


class Decoder(nn.Module):
    """GPT-2 with past keys and values as flat inputs (none for prefill) and the present ones as flat outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        cache = transformers.DynamicCache(tuple(zip(past[::2], past[1::2], strict=True)) or None)
        result = self.network(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        present = [t for layer in result.past_key_values.layers for t in (layer.keys, layer.values)]
        return (result.logits, *present)


@dataclass(frozen=True)
class Recipe:
    """How one graph is exported. `dynamic` names the symbolic dims of each input and output."""

    network: Callable[[], nn.Module]
    inputs: dict[str, Tensor]
    outputs: list[str]
    exporter: str
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)


def _ids(*shape: int) -> Tensor:
    return torch.ones(shape, dtype=torch.int64)


def _bert() -> nn.Module:
    config = transformers.BertConfig()
    keywords = ["input_ids", "attention_mask", "token_type_ids"]
    return Encoder(transformers.BertModel(config), keywords, ["last_hidden_state", "pooler_output"])


def _distilbert() -> nn.Module:
    network = transformers.DistilBertModel(transformers.DistilBertConfig(attn_implementation="eager"))
    return Encoder(network, ["input_ids", "attention_mask"], ["last_hidden_state"])


def _gpt2() -> nn.Module:
    return Decoder(transformers.GPT2LMHeadModel(transformers.GPT2Config()))


def _deit_tiny() -> nn.Module:
    config = transformers.ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768, num_labels=1000)
    return Encoder(transformers.ViTForImageClassification(config), ["pixel_values"], ["logits"])


def _cache(prefix: str) -> list[str]:
    return [f"{prefix}.{layer}.{part}" for layer in range(12) for part in ("key", "value")]


def _gpt2_inputs(tokens: int, past: int) -> dict[str, Tensor]:
    return {
        "input_ids": _ids(1, tokens),
        "attention_mask": _ids(1, past + tokens),
        "position_ids": _ids(1, tokens),
        **{name: torch.zeros(1, 12, past, 64) for name in _cache("past_key_values")},
    }


_BERT_INPUTS = {name: _ids(1, 128) for name in ("input_ids", "attention_mask", "token_type_ids")}
_SYMBOLIC = {0: "batch", 1: "seq"}
_TOTAL = "past_sequence_length + sequence_length"
_TOKENS = {0: "batch_size", 1: "sequence_length"}
_PAST = {0: "batch_size", 2: "past_sequence_length"}
_PRESENT = {0: "batch_size", 2: _TOTAL}
# As Optimum names the dims of decoders.
_GROWING = {
    **dict.fromkeys(("input_ids", "position_ids", "logits"), _TOKENS),
    "attention_mask": {0: "batch_size", 1: _TOTAL},
    **dict.fromkeys(_cache("past_key_values"), _PAST),
    **dict.fromkeys(_cache("present"), _PRESENT),
}

RECIPES = {
    "bert_base": Recipe(_bert, _BERT_INPUTS, ["last_hidden_state", "pooler_output"], "dynamo"),
    "bert_base_dynamic": Recipe(
        _bert,
        _BERT_INPUTS,
        ["last_hidden_state", "pooler_output"],
        "torchscript",
        {**dict.fromkeys([*_BERT_INPUTS, "last_hidden_state"], _SYMBOLIC), "pooler_output": {0: "batch"}},
    ),
    "distilbert": Recipe(
        _distilbert,
        {name: _ids(1, 128) for name in ("input_ids", "attention_mask")},
        ["last_hidden_state"],
        "torchscript",
    ),
    "gpt2_prefill": Recipe(
        _gpt2,
        {name: _ids(1, 64) for name in ("input_ids", "attention_mask", "position_ids")},
        ["logits", *_cache("present")],
        "dynamo",
    ),
    "gpt2_decode": Recipe(
        _gpt2,
        _gpt2_inputs(1, 64),
        ["logits", *_cache("present")],
        "dynamo",
    ),
    "gpt2_decode_dynamic": Recipe(
        _gpt2,
        _gpt2_inputs(2, 64),
        ["logits", *_cache("present")],
        "torchscript",
        _GROWING,
    ),
    "deit_tiny": Recipe(_deit_tiny, {"pixel_values": torch.zeros(1, 3, 224, 224)}, ["logits"], "dynamo"),
}


def distribution(module: nn.Module, name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation of the parameter `name` of `module`.

    Linear layers halve the variance: attention scores spread visibly, and residual paths outweigh their branches, so
    that tokens stay distinct through the depth.
    """
    if len(shape) == 1:
        return (0.0, 0.02) if name == "bias" else (1.0, 0.1)
    if isinstance(module, nn.Linear | nn.Conv2d):
        return 0.0, (2.0 * float(np.prod(shape[1:]))) ** -0.5
    if isinstance(module, transformers.pytorch_utils.Conv1D):
        return 0.0, (2.0 * shape[0]) ** -0.5
    return 0.0, _EMBEDDING_STD


def seed_parameters(network: nn.Module) -> dict[bytes, Fill]:
    """Give every parameter its values under seed 0, and return them by digest, plain and transposed."""
    fills: dict[bytes, Fill] = {}
    for name, parameter in network.named_parameters():
        path, _, leaf = name.rpartition(".")
        name = name.removeprefix("network.")
        shape = tuple(parameter.shape)
        mean, std = distribution(network.get_submodule(path), leaf, shape)
        variants = [Fill(name, shape, mean, std)]
        if len(shape) == 2:
            variants.append(Fill(name, shape, mean, std, transposed=True))
        parameter.data = torch.from_numpy(variants[0].values(0))
        fills.update((_digest(fill.values(0)), fill) for fill in variants)
    return fills


def _digest(array: npt.NDArray[Any]) -> bytes:
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).digest()


def strip_model(model: onnx.ModelProto, fills: dict[bytes, Fill]) -> None:
    """Strip the parameters among the initializers and the provenance notes of nodes. ValueError: unknown weights."""
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        fill = fills.get(_digest(array))
        if fill is not None and array.size > _SMALL:
            shipped.strip(tensor, fill)
        elif array.dtype == np.float32 and array.size > _LARGE:
            raise ValueError(f"initializer {tensor.name!r} {array.shape} is no parameter of the network")
        else:
            tensor.ClearField("doc_string")
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.functions):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    model.graph.ClearField("doc_string")


def export(name: str) -> onnx.ModelProto:
    """The stripped graph of `RECIPES[name]`."""
    recipe = RECIPES[name]
    network = recipe.network().eval()
    fills = seed_parameters(network)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            tuple(recipe.inputs.values()),
            path,
            input_names=list(recipe.inputs),
            output_names=recipe.outputs,
            dynamic_axes=recipe.dynamic or None,
            opset_version=OPSET[recipe.exporter],
            dynamo=recipe.exporter == "dynamo",
        )
        model = onnx.ModelProto.FromString(path.read_bytes())
    strip_model(model, fills)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo.export", description="Export the shipped graphs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(RECIPES)} (default: all)")
    for name in parser.parse_args().names or RECIPES:
        path = shipped.GRAPHS / f"{name}.onnx"
        path.write_bytes(export(name).SerializeToString(deterministic=True))
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
