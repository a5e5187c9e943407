// RUN: mlc opt %s -p fold-batch-norm --verify-each | filecheck %s

// Batch normalisation becomes part of the weights, or a product and a sum.

// CHECK-LABEL: func.func @conv(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[\[\[}}3.000000e+00]], {{\[\[}}1.500000e+00]]], {{\[\[\[}}6.000000e+00]], {{\[\[}}2.000000e+00]]]]> : tensor<2x2x1x1xf32>
// CHECK-NEXT:    %1 = hlt.conv %x, %0 <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
// CHECK-NEXT:    %2 = hlt.constant dense<[-5.000000e+00, -8.000000e+00]> : tensor<2xf32>
// CHECK-NEXT:    %3 = hlt.broadcast %2 <shape = [1, 2, 4, 4], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x4x4xf32>
// CHECK-NEXT:    %4 = hlt.add %1, %3 : tensor<1x2x4x4xf32>
// CHECK-NEXT:    func.return %4 : tensor<1x2x4x4xf32>
// CHECK-NEXT:  }
func.func @conv(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %w = hlt.constant dense<[[[[2.0]], [[1.0]]], [[[3.0]], [[1.0]]]]> : tensor<2x2x1x1xf32>
  %b = hlt.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %s = hlt.constant dense<[3.0, 2.0]> : tensor<2xf32>
  %v = hlt.constant dense<[4.0, 1.0]> : tensor<2xf32>
  %m = hlt.constant dense<[5.0, 7.0]> : tensor<2xf32>
  %0 = hlt.conv %x, %w <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %1 = hlt.broadcast %b <shape = [1, 2, 4, 4], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %2 = hlt.add %0, %1 : tensor<1x2x4x4xf32>
  %3 = hlt.batch_norm %2, %s, %b, %m, %v <epsilon = 0.0> : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  func.return %3 : tensor<1x2x4x4xf32>
}

// CHECK-LABEL: func.func @conv_transpose_in_groups(%x: tensor<1x2x2xf32>) -> tensor<1x4x3xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[\[}}1.000000e+00, 1.000000e+00], [2.000000e+00, 2.000000e+00]], {{\[\[}}3.000000e+00, 3.000000e+00], [4.000000e+00, 4.000000e+00]]]> : tensor<2x2x2xf32>
// CHECK-NEXT:    %1 = hlt.conv_transpose %x, %0 <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], output_padding = [0], groups = 2> : (tensor<1x2x2xf32>, tensor<2x2x2xf32>) -> tensor<1x4x3xf32>
// CHECK-NEXT:    %2 = hlt.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %3 = hlt.broadcast %2 <shape = [1, 4, 3], dims = [1]> : (tensor<4xf32>) -> tensor<1x4x3xf32>
// CHECK-NEXT:    %4 = hlt.add %1, %3 : tensor<1x4x3xf32>
// CHECK-NEXT:    func.return %4 : tensor<1x4x3xf32>
// CHECK-NEXT:  }
func.func @conv_transpose_in_groups(%x: tensor<1x2x2xf32>) -> tensor<1x4x3xf32> {
  %w = hlt.constant dense<[[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]> : tensor<2x2x2xf32>
  %s = hlt.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %z = hlt.constant dense<0.0> : tensor<4xf32>
  %v = hlt.constant dense<1.0> : tensor<4xf32>
  %0 = hlt.conv_transpose %x, %w <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], output_padding = [0], groups = 2> : (tensor<1x2x2xf32>, tensor<2x2x2xf32>) -> tensor<1x4x3xf32>
  %1 = hlt.batch_norm %0, %s, %z, %z, %v <epsilon = 0.0> : (tensor<1x4x3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x3xf32>
  func.return %1 : tensor<1x4x3xf32>
}

// CHECK-LABEL: func.func @dot(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[}}1.000000e+01, 2.000000e+02], [3.000000e+01, 4.000000e+02]]> : tensor<2x2xf32>
// CHECK-NEXT:    %1 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %2 = hlt.constant dense<0.000000e+00> : tensor<2xf32>
// CHECK-NEXT:    %3 = hlt.broadcast %2 <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %4 = hlt.add %1, %3 : tensor<3x2xf32>
// CHECK-NEXT:    func.return %4 : tensor<3x2xf32>
// CHECK-NEXT:  }
func.func @dot(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %w = hlt.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %s = hlt.constant dense<[10.0, 100.0]> : tensor<2xf32>
  %z = hlt.constant dense<0.0> : tensor<2xf32>
  %v = hlt.constant dense<1.0> : tensor<2xf32>
  %0 = hlt.dot_general %x, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  %1 = hlt.batch_norm %0, %s, %z, %z, %v <epsilon = 0.0> : (tensor<3x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  func.return %1 : tensor<3x2xf32>
}

// The convolution's own result is used, too.
// CHECK-LABEL: func.func @shared_conv(%x: tensor<1x1x2xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>) {
// CHECK-NEXT:    %w = hlt.constant dense<{{\[\[\[}}2.000000e+00]], {{\[\[}}1.000000e+00]]]> : tensor<2x1x1xf32>
// CHECK-NEXT:    %0 = hlt.conv %x, %w <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], groups = 1> : (tensor<1x1x2xf32>, tensor<2x1x1xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT:    %1 = hlt.constant dense<[1.500000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-NEXT:    %2 = hlt.broadcast %1 <shape = [1, 2, 2], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT:    %3 = hlt.mul %0, %2 : tensor<1x2x2xf32>
// CHECK-NEXT:    %4 = hlt.constant dense<[-5.000000e-01, -2.000000e+00]> : tensor<2xf32>
// CHECK-NEXT:    %5 = hlt.broadcast %4 <shape = [1, 2, 2], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT:    %6 = hlt.add %3, %5 : tensor<1x2x2xf32>
// CHECK-NEXT:    func.return %0, %6 : tensor<1x2x2xf32>, tensor<1x2x2xf32>
// CHECK-NEXT:  }
func.func @shared_conv(%x: tensor<1x1x2xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xf32>) {
  %w = hlt.constant dense<[[[2.0]], [[1.0]]]> : tensor<2x1x1xf32>
  %s = hlt.constant dense<[3.0, 2.0]> : tensor<2xf32>
  %b = hlt.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %v = hlt.constant dense<[4.0, 1.0]> : tensor<2xf32>
  %0 = hlt.conv %x, %w <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], groups = 1> : (tensor<1x1x2xf32>, tensor<2x1x1xf32>) -> tensor<1x2x2xf32>
  %1 = hlt.batch_norm %0, %s, %b, %b, %v <epsilon = 0.0> : (tensor<1x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x2xf32>
  func.return %0, %1 : tensor<1x2x2xf32>, tensor<1x2x2xf32>
}

// CHECK-LABEL: func.func @computed_parameters(%x: tensor<1x2x2xf32>, %s: tensor<2xf32>, %b: tensor<2xf32>, %m: tensor<2xf32>, %v: tensor<2xf32>) -> tensor<1x2x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<5.000000e-01> : tensor<2xf32>
// CHECK-NEXT:    %1 = hlt.add %v, %0 : tensor<2xf32>
// CHECK-NEXT:    %2 = hlt.sqrt %1 : tensor<2xf32>
// CHECK-NEXT:    %3 = hlt.div %s, %2 : tensor<2xf32>
// CHECK-NEXT:    %4 = hlt.broadcast %3 <shape = [1, 2, 2], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT:    %5 = hlt.mul %x, %4 : tensor<1x2x2xf32>
// CHECK-NEXT:    %6 = hlt.mul %m, %3 : tensor<2xf32>
// CHECK-NEXT:    %7 = hlt.sub %b, %6 : tensor<2xf32>
// CHECK-NEXT:    %8 = hlt.broadcast %7 <shape = [1, 2, 2], dims = [1]> : (tensor<2xf32>) -> tensor<1x2x2xf32>
// CHECK-NEXT:    %9 = hlt.add %5, %8 : tensor<1x2x2xf32>
// CHECK-NEXT:    func.return %9 : tensor<1x2x2xf32>
// CHECK-NEXT:  }
func.func @computed_parameters(%x: tensor<1x2x2xf32>, %s: tensor<2xf32>, %b: tensor<2xf32>, %m: tensor<2xf32>, %v: tensor<2xf32>) -> tensor<1x2x2xf32> {
  %0 = hlt.batch_norm %x, %s, %b, %m, %v <epsilon = 0.5> : (tensor<1x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x2xf32>
  func.return %0 : tensor<1x2x2xf32>
}
