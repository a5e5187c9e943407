"""ResNet-50 v1.5 (He et al. 2015; stride in the 3x3 convolution, as torchvision)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Width, blocks and stride of each stage.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EXPANSION = 4


def _bottleneck(net: Net, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    y = net.relu(net.batch_norm(net.conv(x, f"{name}.conv1", width), f"{name}.bn1"))
    y = net.conv(y, f"{name}.conv2", width, 3, stride=stride, padding=1)
    y = net.relu(net.batch_norm(y, f"{name}.bn2"))
    y = net.batch_norm(net.conv(y, f"{name}.conv3", width * _EXPANSION), f"{name}.bn3", gain=RESIDUAL)
    if y.shape != x.shape:
        x = net.conv(x, f"{name}.downsample.0", width * _EXPANSION, stride=stride)
        x = net.batch_norm(x, f"{name}.downsample.1")
    return net.relu(net.add(y, x))


def resnet50(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("resnet50", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.relu(net.batch_norm(net.conv(x, "conv1", 64, 7, stride=2, padding=3), "bn1"))
    x = net.max_pool(x, 3, 2, padding=1)
    for stage, (width, blocks, stride) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            x = _bottleneck(net, x, f"layer{stage}.{block}", width, stride if block == 0 else 1)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "fc", 1000))
    return net.model()
