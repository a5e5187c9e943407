// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Matrix products and convolutions.

// CHECK-LABEL: func.func @dot_general(%a: tensor<8x2x3xf32>, %b: tensor<8x3x4xf32>) {
// CHECK-NEXT:    %r = hlt.dot_general %a, %b <lhs_batch = [0], rhs_batch = [0], lhs_contract = [2], rhs_contract = [1]> : (tensor<8x2x3xf32>, tensor<8x3x4xf32>) -> tensor<8x2x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @dot_general(%a: tensor<8x2x3xf32>, %b: tensor<8x3x4xf32>) {
  %r = hlt.dot_general %a, %b <lhs_batch = [0], rhs_batch = [0], lhs_contract = [2], rhs_contract = [1]> : (tensor<8x2x3xf32>, tensor<8x3x4xf32>) -> tensor<8x2x4xf32>
  func.return
}

// CHECK-LABEL: func.func @conv(%a: tensor<1x3x8x8xf32>, %b: tensor<4x3x3x3xf32>) {
// CHECK-NEXT:    %r = hlt.conv %a, %b <strides = [2, 2], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @conv(%a: tensor<1x3x8x8xf32>, %b: tensor<4x3x3x3xf32>) {
  %r = hlt.conv %a, %b <strides = [2, 2], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x4x4xf32>
  func.return
}

// CHECK-LABEL: func.func @conv_transpose(%a: tensor<1x3x4xf32>, %b: tensor<3x2x2xf32>) {
// CHECK-NEXT:    %r = hlt.conv_transpose %a, %b <strides = [2], pads_low = [0], pads_high = [0], dilations = [1], output_padding = [0], groups = 1> : (tensor<1x3x4xf32>, tensor<3x2x2xf32>) -> tensor<1x2x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @conv_transpose(%a: tensor<1x3x4xf32>, %b: tensor<3x2x2xf32>) {
  %r = hlt.conv_transpose %a, %b <strides = [2], pads_low = [0], pads_high = [0], dilations = [1], output_padding = [0], groups = 1> : (tensor<1x3x4xf32>, tensor<3x2x2xf32>) -> tensor<1x2x8xf32>
  func.return
}
