"""The light models of the onnx package."""

import numpy as np
import pytest

from benchmarks.zoo.light import light_data, light_model, light_names, light_path, light_tolerance
from benchmarks.zoo.sanity import run_reference


def test_names() -> None:
    assert light_names() == (
        "bvlc_alexnet",
        "densenet121",
        "inception_v1",
        "inception_v2",
        "resnet50",
        "shufflenet",
        "squeezenet",
        "vgg19",
        "zfnet512",
    )


@pytest.mark.parametrize("name", light_names())
def test_data(name: str) -> None:
    (x,), (expected,) = (list(side.values()) for side in light_data(name))
    assert (x.shape, x.dtype, x.ravel()[0]) == ((1, 3, 224, 224), np.float32, 0.0)
    assert expected.size == 1000
    assert list(light_data(name)[1]) == [output.name for output in light_model(name).graph.output]


def test_expected_outputs_are_the_models() -> None:
    feeds, expected = light_data("zfnet512")
    (outputs,) = run_reference(light_model("zfnet512"), feeds)
    relative, absolute = light_tolerance("zfnet512")
    np.testing.assert_allclose(*outputs.values(), *expected.values(), rtol=relative, atol=absolute)


def test_unknown_name() -> None:
    with pytest.raises(KeyError, match="there are: bvlc_alexnet"):
        light_path("lenet")
