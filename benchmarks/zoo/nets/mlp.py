"""Multi-layer perceptrons: one that is work, and one so small that the call itself is measured."""

import onnx

from benchmarks.zoo.builder import Net


def _mlp(name: str, seed: int, batch: int, widths: tuple[int, ...]) -> onnx.ModelProto:
    net = Net(name, seed)
    x = net.input("input", (batch, widths[0]))
    for layer, width in enumerate(widths[1:]):
        x = net.linear(x, f"fc{layer}", width)
        if layer < len(widths) - 2:
            x = net.relu(x)
    net.output("logits", x)
    return net.model()


def mlp(seed: int) -> onnx.ModelProto:
    """Input [32, 784], hidden layers of 1024 and 1024, output logits [32, 10]."""
    return _mlp("mlp", seed, 32, (784, 1024, 1024, 10))


def mlp_tiny(seed: int) -> onnx.ModelProto:
    """Input [1, 64], three layers of 64, output [1, 64]: about 12 thousand multiply-adds."""
    return _mlp("mlp_tiny", seed, 1, (64, 64, 64, 64))
