"""ResNet-18 and ResNet-50 v1.5 (He et al. 2015; stride in the 3x3 convolution, as torchvision)."""

from collections.abc import Callable

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

Block = Callable[[Net, Tensor, str, int, int], Tensor]

# Width and stride of each stage.
_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
_EXPANSION = 4


def _shortcut(net: Net, x: Tensor, y: Tensor, name: str, stride: int) -> Tensor:
    """``x`` in the shape of ``y``."""
    if y.shape == x.shape:
        return x
    return net.batch_norm(net.conv(x, f"{name}.downsample.0", y.channels, stride=stride), f"{name}.downsample.1")


def _basic(net: Net, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    y = net.conv(x, f"{name}.conv1", width, 3, stride=stride, padding=1)
    y = net.relu(net.batch_norm(y, f"{name}.bn1"))
    y = net.batch_norm(net.conv(y, f"{name}.conv2", width, 3, padding=1), f"{name}.bn2", gain=RESIDUAL)
    return net.relu(net.add(y, _shortcut(net, x, y, name, stride)))


def _bottleneck(net: Net, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    y = net.relu(net.batch_norm(net.conv(x, f"{name}.conv1", width), f"{name}.bn1"))
    y = net.conv(y, f"{name}.conv2", width, 3, stride=stride, padding=1)
    y = net.relu(net.batch_norm(y, f"{name}.bn2"))
    y = net.batch_norm(net.conv(y, f"{name}.conv3", width * _EXPANSION), f"{name}.bn3", gain=RESIDUAL)
    return net.relu(net.add(y, _shortcut(net, x, y, name, stride)))


def _resnet(name: str, seed: int, block: Block, blocks: tuple[int, ...]) -> onnx.ModelProto:
    net = Net(name, seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.relu(net.batch_norm(net.conv(x, "conv1", 64, 7, stride=2, padding=3), "bn1"))
    x = net.max_pool(x, 3, 2, padding=1)
    for stage, ((width, stride), count) in enumerate(zip(_STAGES, blocks), start=1):
        for number in range(count):
            x = block(net, x, f"layer{stage}.{number}", width, stride if number == 0 else 1)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "fc", 1000))
    return net.model()


def resnet18(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    return _resnet("resnet18", seed, _basic, (2, 2, 2, 2))


def resnet50(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    return _resnet("resnet50", seed, _bottleneck, (3, 4, 6, 3))
