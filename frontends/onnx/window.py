"""Sliding windows: kernel, strides, dilations and pads of convolutions and pools, all made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlc.frontends.onnx.node import Node

AUTO_PAD = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True)
class Window:
    """A window over the spatial dims, one entry per dim.

    ``overhang`` is what ceil_mode adds after ``pads_high`` so that a last, partial window exists.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads_low: tuple[int, ...]
    pads_high: tuple[int, ...]
    overhang: tuple[int, ...]

    @property
    def full_high(self) -> tuple[int, ...]:
        """Padding after the input, ``overhang`` included."""
        return tuple(high + more for high, more in zip(self.pads_high, self.overhang))


def per_dim(node: Node, name: str, dims: int, default: int, least: int) -> tuple[int, ...]:
    """The list attribute ``name``: ``dims`` entries of at least ``least``."""
    values: tuple[int, ...] = node.ints(name, ()) or (default,) * dims
    if len(values) != dims or min(values, default=least) < least:
        raise node.invalid(f"attribute {name} {list(values)} must be {dims} numbers of at least {least}")
    return values


def explicit_pads(node: Node, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The attribute pads: amounts before and after each dim, zero by default."""
    pads = per_dim(node, "pads", 2 * dims, 0, 0)
    return pads[:dims], pads[dims:]


def window_of(node: Node, spatial: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window that ``node``'s attributes describe over an input with extents ``spatial``."""
    dims = len(spatial)
    if len(kernel) != dims or min(kernel, default=1) < 1:
        raise node.invalid(f"kernel {list(kernel)} does not fit {dims} spatial dims")
    strides, dilations = per_dim(node, "strides", dims, 1, 1), per_dim(node, "dilations", dims, 1, 1)
    reach = [(k - 1) * dilation + 1 for k, dilation in zip(kernel, dilations)]
    auto_pad = node.string("auto_pad", "NOTSET", choices=AUTO_PAD)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        low, high = _same_pads(spatial, reach, strides, upper=auto_pad == "SAME_UPPER")
    else:
        low, high = ((0,) * dims, (0,) * dims) if auto_pad == "VALID" else explicit_pads(node, dims)
    overhang = (0,) * dims
    if node.bool("ceil_mode", False):
        overhang = tuple(
            _overhang(extent, before, before + extent + after, size, stride)
            for extent, before, after, size, stride in zip(spatial, low, high, reach, strides)
        )
    padded = [before + extent + after for extent, before, after in zip(spatial, low, high)]
    if any(size > extent for size, extent in zip(reach, padded)) and not any(overhang):
        raise node.invalid(f"the window {reach} is larger than the padded input {padded}")
    return Window(tuple(kernel), strides, dilations, low, high, overhang)


def _same_pads(
    spatial: Sequence[int], reach: Sequence[int], strides: Sequence[int], *, upper: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Pads for an output of ``ceil(input / stride)``; an odd one out goes to the end when ``upper``."""
    total = [
        max(0, (-(-extent // stride) - 1) * stride + size - extent)
        for extent, size, stride in zip(spatial, reach, strides)
    ]
    less, more = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    return (less, more) if upper else (more, less)


def _overhang(extent: int, before: int, padded: int, reach: int, stride: int) -> int:
    """What has to follow ``padded`` elements for one more window, if that starts before the end padding."""
    count = -(-(padded - reach) // stride) + 1
    if (count - 1) * stride >= before + extent:
        count -= 1
    return max(0, (count - 1) * stride + reach - padded)
