"""The table of the zoo's models."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import onnx

from benchmarks.zoo import samples, shipped
from benchmarks.zoo.nets import mobilenet_v1, yolo
from benchmarks.zoo.nets.alexnet import alexnet
from benchmarks.zoo.nets.densenet import densenet121
from benchmarks.zoo.nets.efficientnet import efficientnet_b0
from benchmarks.zoo.nets.googlenet import googlenet
from benchmarks.zoo.nets.mlp import mlp, mlp_tiny
from benchmarks.zoo.nets.mnasnet import mnasnet
from benchmarks.zoo.nets.mobilenet import mobilenet_v2
from benchmarks.zoo.nets.mobilenet_v3 import mobilenet_v3_large
from benchmarks.zoo.nets.recurrent import lstm
from benchmarks.zoo.nets.regnet import regnet_y_400mf
from benchmarks.zoo.nets.resnet import resnet18, resnet50
from benchmarks.zoo.nets.shufflenet import shufflenet_v2
from benchmarks.zoo.nets.squeezenet import squeezenet1_1
from benchmarks.zoo.nets.unet import unet
from benchmarks.zoo.nets.vgg import vgg16


def _same(outputs: samples.Feeds) -> samples.Feeds:
    return outputs


@dataclass(frozen=True)
class Entry:
    """One model: how to build it and its inputs from a seed, and its number of trained parameters."""

    name: str
    build: Callable[[int], onnx.ModelProto]
    inputs: Callable[[int], samples.Feeds]
    parameters: int
    units: Callable[[samples.Feeds], samples.Feeds] = _same
    """Brings outputs to units in which they are of about unit size."""


_photograph = partial(samples.photograph, name="input", size=224)


def _shipped(name: str, inputs: Callable[[int], samples.Feeds], parameters: int) -> Entry:
    return Entry(name, partial(shipped.load, name), inputs, parameters)


_ENTRIES = (
    Entry("resnet50", resnet50, _photograph, 25_557_032),
    Entry("resnet18", resnet18, _photograph, 11_689_512),
    Entry("alexnet", alexnet, _photograph, 61_100_840),
    Entry("vgg16", vgg16, _photograph, 138_357_544),
    Entry("densenet121", densenet121, _photograph, 7_978_856),
    Entry("googlenet", googlenet, _photograph, 6_624_904),
    Entry("squeezenet1_1", squeezenet1_1, _photograph, 1_235_496),
    Entry("mobilenet_v2", mobilenet_v2, _photograph, 3_504_872),
    Entry("mobilenet_v1", mobilenet_v1.mobilenet_v1, _photograph, 4_231_976),
    Entry("mobilenet_v3_large", mobilenet_v3_large, _photograph, 5_483_032),
    Entry("shufflenet_v2", shufflenet_v2, _photograph, 2_278_604),
    Entry("mnasnet", mnasnet, _photograph, 4_383_312),
    Entry("regnet_y_400mf", regnet_y_400mf, _photograph, 4_344_144),
    Entry(
        "mobilenet_ssd",
        mobilenet_v1.mobilenet_ssd,
        partial(samples.pixels, name="images", size=300),
        5_796_089,
        mobilenet_v1.units,
    ),
    Entry("efficientnet_b0", efficientnet_b0, _photograph, 5_288_548),
    Entry("unet", unet, partial(samples.photograph, name="input", size=256), 7_763_041),
    Entry("yolov8n", yolo.yolov8n, partial(samples.pixels, name="images", size=640), 3_157_200, yolo.units),
    Entry("yolov8n_320", yolo.yolov8n_320, partial(samples.pixels, name="images", size=320), 3_157_200, yolo.units),
    _shipped("bert_base", partial(samples.sentence_pairs, batch=1, length=128), 109_482_240),
    _shipped("bert_base_dynamic", partial(samples.sentence_pairs, batch=1, length=128), 109_482_240),
    _shipped("distilbert", partial(samples.sentences, batch=1, length=128), 66_362_880),
    _shipped("gpt2_prefill", partial(samples.prompt, length=64), 124_439_808),
    _shipped("gpt2_decode", partial(samples.next_token, past=64), 124_439_808),
    _shipped("gpt2_decode_dynamic", partial(samples.next_token, past=64), 163_037_184),
    _shipped("deit_tiny", partial(samples.photograph, name="pixel_values", size=224), 5_717_416),
    Entry("lstm", lstm, partial(samples.features, name="input", shape=(64, 1, 256)), 3_743_872),
    Entry("mlp", mlp, partial(samples.features, name="input", shape=(32, 784)), 1_863_690),
    Entry("mlp_tiny", mlp_tiny, partial(samples.features, name="input", shape=(1, 64)), 12_480),
)
_BY_NAME = {entry.name: entry for entry in _ENTRIES}


def names() -> tuple[str, ...]:
    """The names of all models: convolutional, transformers, small ones."""
    return tuple(_BY_NAME)


def entry(name: str) -> Entry:
    """The model called `name`. KeyError lists the valid names and the nearest."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise KeyError(f"no model {name!r} in the zoo{hint} (there are: {', '.join(_BY_NAME)})")
