"""Fourier transforms of all kinds of lengths against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlc.errors import ModelError, UnsupportedError
from mlc.testing.onnx_nodes import by_native_code, by_onnx, by_reference, node_model

Array = NDArray[Any]
LENGTHS = (1, 2, 3, 17, 64, 65, 67, 96, 210, 512)


def signal(*shape: int, dtype: Any = np.float64) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def parts(x: Array) -> Array:
    """Complex numbers as pairs."""
    return np.stack([np.real(x), np.imag(x)], -1)


def transformed(x: Array, axis: int, length: int | None = None, **attributes: Any) -> Array:
    inputs = {"x": x, "length": np.array(length or 0, np.int64), "axis": np.array(axis, np.int64)}
    model = node_model("DFT", inputs, (x.dtype,), **attributes)
    if length is None:
        model.graph.node[0].input[1] = ""
    return by_reference(model, inputs)[0]


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n: int) -> None:
    x = signal(2, n, 2)
    wanted = np.fft.fft(x[..., 0] + 1j * x[..., 1])
    np.testing.assert_allclose(transformed(x, 1), parts(wanted), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(transformed(parts(wanted), 1, inverse=1), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [*LENGTHS[1:], 7, 8])
def test_one_side_of_real_signals(n: int) -> None:
    x = signal(3, n, 1)
    half = np.fft.rfft(x[..., 0])
    np.testing.assert_allclose(transformed(x, 1, onesided=1), parts(half), rtol=1e-9, atol=1e-9)
    back = transformed(parts(half), 1, n, onesided=1, inverse=1)
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [3, 6, 11])
def test_other_axes_and_lengths(length: int) -> None:
    x = signal(6, 4, 5, 2)
    for axis in (0, 1, -2):
        dim = axis % 4 if axis >= 0 else 2
        wanted = np.fft.fft(x[..., 0] + 1j * x[..., 1], length, dim)
        np.testing.assert_allclose(transformed(x, axis, length), parts(wanted), rtol=1e-9, atol=1e-9)


def test_native_code() -> None:
    x = signal(2, 1000, 1, dtype=np.float32)
    inputs = {"x": x, "length": np.array(960, np.int64), "axis": np.array(1, np.int64)}
    (actual,) = by_native_code(node_model("DFT", inputs), inputs)
    wanted = parts(np.fft.fft(x[..., 0].astype(np.float64), 960))
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("onesided", [0, 1])
def test_short_time_transforms(onesided: int) -> None:
    inputs = {"x": signal(2, 50, 1), "step": np.array(7, np.int64), "window": np.hanning(16)}
    model = node_model("STFT", inputs, (np.float64,), onesided=onesided)
    wanted = np.stack([inputs["x"][:, s : s + 16, 0] * inputs["window"] for s in range(0, 35, 7)], 1)
    spectra = np.fft.rfft(wanted) if onesided else np.fft.fft(wanted)
    np.testing.assert_allclose(by_reference(model, inputs)[0], parts(spectra), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("bands", "length", "high"), [(8, 16, 4096.0), (20, 64, 8000.0), (3, 400, 100.0)])
def test_mel_bands(bands: int, length: int, high: float) -> None:
    scalars = (np.int64(bands), np.int64(length), np.int64(16000), np.float32(0), np.float32(high))
    inputs = {f"x{i}": np.asarray(scalar) for i, scalar in enumerate(scalars)}
    model = node_model("MelWeightMatrix", inputs)
    np.testing.assert_allclose(by_reference(model, inputs)[0], by_onnx(model, inputs)[0], rtol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="length 4099, which has no divisor"):
        transformed(signal(1, 4099, 1), 1)
    with pytest.raises(UnsupportedError, match="a table of 1099511627776 elements"):
        transformed(signal(1, 8, 1), 1, 1 << 40)
    with pytest.raises(ModelError, match="last dim holds one part or two"):
        transformed(signal(1, 4, 3), 1)
    with pytest.raises(ModelError, match="of real signals"):
        transformed(signal(1, 4, 2), 1, onesided=1)
