"""GoogLeNet (Szegedy et al. 2014) with batch normalisation and without auxiliary heads, as torchvision.

The third branch has a 3x3 kernel where the paper has 5x5: torchvision's long-standing choice.
"""

import onnx

from benchmarks.zoo.builder import Net, Tensor

# Channels of an inception block: 1x1, reduction and 3x3, reduction and "5x5", pooling projection.
_BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# Kernel of the stride-2 pooling that follows a block.
_POOLS = {"3b": 3, "4e": 2}


def _conv(net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
    x = net.conv(x, f"{name}.conv", channels, kernel, stride=stride, padding=kernel // 2)
    return net.relu(net.batch_norm(x, f"{name}.bn", epsilon=1e-3))


def _inception(net: Net, x: Tensor, name: str, channels: tuple[int, ...]) -> Tensor:
    one, reduce3, three, reduce5, five, pool = channels
    branch1 = _conv(net, x, f"{name}.branch1", one)
    branch2 = _conv(net, x, f"{name}.branch2.0", reduce3)
    branch2 = _conv(net, branch2, f"{name}.branch2.1", three, 3)
    branch3 = _conv(net, x, f"{name}.branch3.0", reduce5)
    branch3 = _conv(net, branch3, f"{name}.branch3.1", five, 3)
    branch4 = net.max_pool(x, 3, 1, padding=1, ceil=True)
    branch4 = _conv(net, branch4, f"{name}.branch4.1", pool)
    return net.concat([branch1, branch2, branch3, branch4])


def googlenet(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("googlenet", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.max_pool(_conv(net, x, "conv1", 64, 7, 2), 3, 2, ceil=True)
    x = _conv(net, _conv(net, x, "conv2", 64), "conv3", 192, 3)
    x = net.max_pool(x, 3, 2, ceil=True)
    for block, channels in _BLOCKS.items():
        x = _inception(net, x, f"inception{block}", channels)
        if block in _POOLS:
            x = net.max_pool(x, _POOLS[block], 2, ceil=True)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "fc", 1000))
    return net.model()
