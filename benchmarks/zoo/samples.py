"""Seeded inputs that look like the real thing: images with a natural spectrum, token ids with padding."""

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.zoo import seeds

Array = npt.NDArray[Any]
Feeds = dict[str, Array]


def natural_image(seed: int, channels: int, size: int) -> seeds.Float32:
    """An image [1, channels, size, size] of mean 0 and variance 1 per channel, amplitude falling as 1/frequency.

    That is the spectrum of natural images (Field 1987). The channels share most of their content, as colours do.
    """
    noise = seeds.normal(seed, "image", (channels + 1, size, size))
    noise[1:] = 0.9 * noise[:1] + 0.45 * noise[1:]
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    image = np.fft.irfft2(np.fft.rfft2(noise[1:]) / frequency, s=(size, size))
    image -= image.mean(axis=(1, 2), keepdims=True)
    image /= image.std(axis=(1, 2), keepdims=True)
    return image[None].astype(np.float32)


def photograph(seed: int, name: str, size: int) -> Feeds:
    """An RGB image normalised to mean 0 and variance 1, as classifiers expect."""
    return {name: natural_image(seed, 3, size)}


def pixels(seed: int, name: str, size: int) -> Feeds:
    """An RGB image with values in 0..1, as detectors expect."""
    return {name: np.clip(0.45 + 0.27 * natural_image(seed, 3, size), 0.0, 1.0)}


def features(seed: int, name: str, shape: tuple[int, ...]) -> Feeds:
    """Standard normal features."""
    return {name: seeds.normal(seed, name, shape)}


_CLS, _SEP, _FIRST_WORD, _BERT_VOCABULARY = 101, 102, 1000, 30522
_GPT2_VOCABULARY = 50257
# That of the keys and values that the seeded GPT-2 itself computes.
_CACHE_STD = 0.7


def sentence_pairs(seed: int, batch: int, length: int) -> Feeds:
    """Token ids of two sentences per row, `[CLS] a [SEP] b [SEP]`, padded to `length`; all i64 [batch, length]."""
    ids = seeds.integers(seed, "input_ids", (batch, length), low=_FIRST_WORD, high=_BERT_VOCABULARY)
    ends = seeds.integers(seed, "lengths", (batch, 1), low=max(4, length * 3 // 4), high=length + 1)
    position = np.arange(length)[None]
    first = ends // 2
    ids[:, 0] = _CLS
    ids[(position == first) | (position == ends - 1)] = _SEP
    valid = position < ends
    return {
        "input_ids": np.where(valid, ids, 0),
        "attention_mask": valid.astype(np.int64),
        "token_type_ids": (valid & (position > first)).astype(np.int64),
    }


def sentences(seed: int, batch: int, length: int) -> Feeds:
    """As `sentence_pairs`, without the ids of the segments."""
    feeds = sentence_pairs(seed, batch, length)
    return {name: feeds[name] for name in ("input_ids", "attention_mask")}


def prompt(seed: int, length: int) -> Feeds:
    """Token ids, mask and positions of a prompt of GPT-2, all i64 [1, length]."""
    return {
        "input_ids": seeds.integers(seed, "input_ids", (1, length), low=0, high=_GPT2_VOCABULARY),
        "attention_mask": np.ones((1, length), np.int64),
        "position_ids": np.arange(length, dtype=np.int64)[None],
    }


def next_token(seed: int, past: int) -> Feeds:
    """One token of GPT-2 after `past` others, with their keys and values: f32 [1, 12, past, 64] per layer."""
    feeds: Feeds = {
        "input_ids": seeds.integers(seed, "input_ids", (1, 1), low=0, high=_GPT2_VOCABULARY),
        "attention_mask": np.ones((1, past + 1), np.int64),
        "position_ids": np.full((1, 1), past, np.int64),
    }
    for layer in range(12):
        for part in ("key", "value"):
            name = f"past_key_values.{layer}.{part}"
            feeds[name] = seeds.normal(seed, name, (1, 12, past, 64), std=_CACHE_STD)
    return feeds
