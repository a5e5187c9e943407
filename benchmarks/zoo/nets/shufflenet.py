"""ShuffleNetV2 at width 1.0 (Ma et al. 2018)."""

import numpy as np
import onnx

from benchmarks.zoo.builder import Net, Tensor
from benchmarks.zoo.moments import Moments

# Output channels and units of each stage; the first unit of a stage has stride 2.
_STAGES = ((116, 4), (232, 8), (464, 4))


def _conv_bn(
    net: Net, x: Tensor, name: str, layer: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Tensor:
    x = net.conv(x, f"{name}.{layer}", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.batch_norm(x, f"{name}.{layer + 1}")


def _depthwise_first(net: Net, x: Tensor, name: str, channels: int) -> Tensor:
    x = _conv_bn(net, x, name, 0, x.channels, 3, 2, groups=x.channels)
    return net.relu(_conv_bn(net, x, name, 2, channels))


def _pointwise_first(net: Net, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    x = net.relu(_conv_bn(net, x, name, 0, channels))
    x = _conv_bn(net, x, name, 3, channels, 3, stride, groups=channels)
    return net.relu(_conv_bn(net, x, name, 5, channels))


def _shuffle(net: Net, x: Tensor) -> Tensor:
    """Channels of two halves interleaved, as the two reshapes and the transposition that exporters write."""
    batch, channels, height, width = x.shape
    halves = net.reshape(x, (batch, 2, channels // 2, height, width))
    pairs = net.transpose(halves, (0, 2, 1, 3, 4))
    order = np.arange(channels).reshape(2, -1).T.ravel()
    mixed = net.reshape(pairs, x.shape)
    return Tensor(mixed.name, x.shape, Moments(x.moments.mean[order], x.moments.variance[order]))


def _unit(net: Net, x: Tensor, name: str, channels: int, stride: int) -> Tensor:
    half = channels // 2
    if stride == 1:
        kept, x = net.split(x, 2)
    else:
        kept = _depthwise_first(net, x, f"{name}.branch1", half)
    return _shuffle(net, net.concat([kept, _pointwise_first(net, x, f"{name}.branch2", half, stride)]))


def shufflenet_v2(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("shufflenet_v2", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.max_pool(net.relu(_conv_bn(net, x, "conv1", 0, 24, 3, 2)), 3, 2, padding=1)
    for stage, (channels, units) in enumerate(_STAGES, start=2):
        for unit in range(units):
            x = _unit(net, x, f"stage{stage}.{unit}", channels, 2 if unit == 0 else 1)
    x = net.relu(_conv_bn(net, x, "conv5", 0, 1024))
    net.output("logits", net.linear(net.mean(x), "fc", 1000))
    return net.model()
