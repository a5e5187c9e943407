"""Interpolation to another shape."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, shape_of, tensor
from mlc.dialects.hlt.dtypes import is_bool, tensor_type
from mlc.dialects.hlt.fields import Bool, Enum, Float, Floats, Ints, fail
from mlc.dialects.hlt.shape import check_length, check_minimum


@hlt_op
class ResizeOp(HltOp):
    """ONNX Resize to ``shape``, dim by dim.

    ``scales`` has one factor per dim (those of the model: ``shape / extent`` is not always the same). ``roi``
    is empty or has all starts, then all ends, in relative coordinates, for ``tf_crop_and_resize``, which puts
    ``extrapolation_value`` at points outside. A dim whose factor is 1 and extent stays is left as it is.
    Integers are interpolated as floats and truncated.

    ```
    %1 = hlt.resize %0 <shape = [8, 8], mode = "linear", coordinates = "half_pixel",
        nearest_mode = "round_prefer_floor", cubic_coeff = -0.75, scales = [2.0, 2.0], exclude_outside = false,
        extrapolation_value = 0.0, roi = [], antialias = false> : (tensor<4x4xf32>) -> tensor<8x8xf32>
    ```
    """

    name = "hlt.resize"

    x = operand_def(TENSOR)
    shape = Ints()
    mode = Enum("nearest", "linear", "cubic")
    coordinates = Enum(
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    )
    nearest_mode = Enum("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    cubic_coeff = Float()
    scales = Floats()
    exclude_outside = Bool()
    extrapolation_value = Float()
    roi = Floats()
    antialias = Bool()
    result = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        *,
        shape: Sequence[int],
        mode: str = "nearest",
        coordinates: str = "half_pixel",
        nearest_mode: str = "round_prefer_floor",
        cubic_coeff: float = -0.75,
        scales: Sequence[float] | None = None,
        exclude_outside: bool = False,
        extrapolation_value: float = 0.0,
        roi: Sequence[float] = (),
        antialias: bool = False,
    ) -> None:
        super().__init__(
            (x,),
            shape=tuple(shape),
            mode=mode,
            coordinates=coordinates,
            nearest_mode=nearest_mode,
            cubic_coeff=cubic_coeff,
            scales=_scales(x, shape) if scales is None else tuple(scales),
            exclude_outside=exclude_outside,
            extrapolation_value=extrapolation_value,
            roi=tuple(roi),
            antialias=antialias,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """[attribute_length], [attribute_minimum], [resize_scales], [resize_source], [resize_roi]."""
        x, shape = tensor(self.x), self.shape
        check_length("shape", shape, x.rank)
        check_length("scales", self.scales, x.rank)
        check_minimum("shape", shape, 0)
        if is_bool(x.element):
            raise fail("numeric_element_type", f"{self.name} is not defined on {x.element}")
        if not all(scale > 0 for scale in self.scales):
            raise fail("resize_scales", f"scales {list(self.scales)} must be positive")
        self._check_source(x)
        if len(self.roi) != (2 * x.rank if self.coordinates == "tf_crop_and_resize" else 0):
            raise fail("resize_roi", f"roi has {len(self.roi)} entries for rank {x.rank} and {self.coordinates}")
        return (tensor_type(shape, x.element),)

    def _check_source(self, x: Tensor) -> None:
        for dim, (extent, size) in enumerate(zip(x.shape, self.shape)):
            if extent == 0 and size > 0:
                raise fail("resize_source", f"dim {dim} has no element to interpolate")


def _scales(x: Value, shape: Sequence[int]) -> tuple[float, ...]:
    """The factors that follow from the shapes alone."""
    return tuple(size / extent if extent and size else 1.0 for extent, size in zip(shape_of(x), shape))
