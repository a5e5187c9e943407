// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// What the verifier says of text that breaks a constraint; the labels are those of docs/reference/hlt.md.

// CHECK: [same_shape] hlt.add has operands of shapes (2,), (3,)
func.func @shapes(%a: tensor<2xf32>, %b: tensor<3xf32>) {
  %r = hlt.add %a, %b : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  func.return
}

// -----

// CHECK: [result_type] hlt.abs yields tensor<2xf32>, but its result is tensor<3xf32>
func.func @result(%a: tensor<2xf32>) {
  %r = hlt.abs %a : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

// CHECK: [static_shape] tensor<?xf32> has a dynamic extent
func.func @dynamic(%a: tensor<?xf32>) {
  %r = hlt.abs %a : tensor<?xf32>
  func.return
}

// -----

// CHECK: [kind] kind is 'median', must be one of sum, mean, prod, max, min, any, all
func.func @word(%a: tensor<2xf32>) {
  %r = hlt.reduce %a <kind = "median", axes = [0], keep_dims = false> : (tensor<2xf32>) -> tensor<f32>
  func.return
}
