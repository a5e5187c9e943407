"""Tells mlc of the operators in operators.c; the library is needed to run models in Python only."""

from pathlib import Path

import mlc

LIBRARY = Path(__file__).with_name("libmyoperators.so")
FOUND = LIBRARY if LIBRARY.exists() else None

mlc.register_c_op("my.lab::SquaredRelu", "squared_relu", attributes={"scale": 1.0}, library=FOUND)
mlc.register_c_op(
    "my.lab::CountAbove",
    "count_above",
    attributes={"limits": [0.0]},
    results=lambda inputs, attributes: [("int64", (inputs[0].shape[0], len(attributes["limits"])))],
    library=FOUND,
)
