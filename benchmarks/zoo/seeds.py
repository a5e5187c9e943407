"""Seeded tensors: the same bits on every machine and with every NumPy.

NumPy keeps the raw stream of a bit generator fixed for ever but not what `Generator` makes of it,
so the values are computed here from raw 64-bit words: each word holds four 16-bit integers, whose sum is
close to normal (Irwin-Hall of order 4). It is also about three times faster than a ziggurat.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

# Words per step: the scratch of a step stays in the L2 cache.
_STEP = 1 << 15

# Sum of four uniform int16: mean -2, variance 4 * 65536**2 / 12.
_MEAN = np.float32(-2.0)
_SCALE = np.float32(3.0**0.5 / 65536.0)


def stream(seed: int, name: str) -> np.random.PCG64:
    """The bit generator that belongs to `name` under `seed`, independent of all others."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.PCG64([seed, int.from_bytes(digest, "little")])


def normal(seed: int, name: str, shape: tuple[int, ...], *, mean: float = 0.0, std: float = 1.0) -> Float32:
    """An f32 tensor of `shape` with nearly normal values, cut at 3.46 standard deviations."""
    bits = stream(seed, name)
    flat = np.empty(int(np.prod(shape, dtype=np.int64)), np.float32)
    for start in range(0, flat.size, _STEP):
        part = flat[start : start + _STEP]
        words = bits.random_raw(part.size).view(np.int16).reshape(part.size, 4)
        np.add(words[:, 0], words[:, 1], out=part, dtype=np.float32)
        part += words[:, 2]
        part += words[:, 3]
        part -= _MEAN
        part *= _SCALE * np.float32(std)
        part += np.float32(mean)
    return flat.reshape(shape)


def integers(seed: int, name: str, shape: tuple[int, ...], *, low: int, high: int) -> npt.NDArray[np.int64]:
    """An i64 tensor of `shape` with values in `low <= x < high`, uniform up to a bias of 2**-31."""
    words = stream(seed, name).random_raw(int(np.prod(shape, dtype=np.int64))) >> np.uint64(32)
    return (low + (words * np.uint64(high - low) >> np.uint64(32)).astype(np.int64)).reshape(shape)
