"""U-Net (Ronneberger et al. 2015) as PyTorch Hub's brain-segmentation model: 32 features, 256x256 RGB."""

import onnx

from benchmarks.zoo.builder import Net, Tensor

_FEATURES = 32
_DEPTH = 4


def _block(net: Net, x: Tensor, name: str, layer: str, channels: int) -> Tensor:
    for i in (1, 2):
        x = net.conv(x, f"{name}.{layer}conv{i}", channels, 3, padding=1)
        x = net.relu(net.batch_norm(x, f"{name}.{layer}norm{i}"))
    return x


def unet(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 256, 256], output a probability per pixel [1, 1, 256, 256]."""
    net = Net("unet", seed)
    x = net.input("input", (1, 3, 256, 256))
    skips: list[Tensor] = []
    for level in range(1, _DEPTH + 1):
        x = _block(net, x, f"encoder{level}", f"enc{level}", _FEATURES << level - 1)
        skips.append(x)
        x = net.max_pool(x, 2, 2)
    x = _block(net, x, "bottleneck", "bottleneck", _FEATURES << _DEPTH)
    for level in range(_DEPTH, 0, -1):
        channels = _FEATURES << level - 1
        x = net.conv_transpose(x, f"upconv{level}", channels, 2)
        x = net.concat([x, skips[level - 1]])
        x = _block(net, x, f"decoder{level}", f"dec{level}", channels)
    net.output("mask", net.sigmoid(net.conv(x, "conv", 1, bias=True, bias_mean=0.0)))
    return net.model()
