"""The reference meaning of every operation, in plain NumPy."""

from mlc.dialects.interpreters import (
    activation,
    attention,
    constant,
    contraction,
    elementwise,
    external,
    index,
    normalization,
    random,
    recurrent,
    reduction,
    resize,
    shape,
    words,
)
from mlc.dialects.interpreters.function import run_control, run_function
from mlc.dialects.interpreters.registry import REFERENCES, evaluate, reference

__all__ = [
    "REFERENCES",
    "activation",
    "attention",
    "constant",
    "contraction",
    "elementwise",
    "evaluate",
    "external",
    "index",
    "normalization",
    "random",
    "recurrent",
    "reduction",
    "reference",
    "resize",
    "run_control",
    "run_function",
    "shape",
    "words",
]
