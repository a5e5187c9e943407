// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Interpolation.

// CHECK-LABEL: func.func @resize(%a: tensor<4x4xf32>) {
// CHECK-NEXT:    %r = hlt.resize %a <shape = [8, 8], mode = "linear", coordinates = "half_pixel", nearest_mode = "round_prefer_floor", cubic_coeff = -0.75, scales = [2.0, 2.0], exclude_outside = false, extrapolation_value = 0.0, roi = [], antialias = false> : (tensor<4x4xf32>) -> tensor<8x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @resize(%a: tensor<4x4xf32>) {
  %r = hlt.resize %a <shape = [8, 8], mode = "linear", coordinates = "half_pixel", nearest_mode = "round_prefer_floor", cubic_coeff = -0.75, scales = [2.0, 2.0], exclude_outside = false, extrapolation_value = 0.0, roi = [], antialias = false> : (tensor<4x4xf32>) -> tensor<8x8xf32>
  func.return
}
