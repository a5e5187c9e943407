// RUN: mlc opt %s -p reorder --verify-each | filecheck %s

// Movement goes down past what computes, and vanishes where it can.

// CHECK-LABEL: func.func @sink_transpose(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<3.000000e+00> : tensor<2x3xf32>
// CHECK-NEXT:    %1 = hlt.mul %x, %0 : tensor<2x3xf32>
// CHECK-NEXT:    %2 = hlt.transpose %1 <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    func.return %2 : tensor<3x2xf32>
// CHECK-NEXT:  }
func.func @sink_transpose(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = hlt.constant dense<3.0> : tensor<3x2xf32>
  %2 = hlt.mul %0, %1 : tensor<3x2xf32>
  func.return %2 : tensor<3x2xf32>
}

// One transpose would become two.
// CHECK-LABEL: func.func @shared_transpose(%x: tensor<2x3xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %1 = hlt.exp %0 : tensor<3x2xf32>
// CHECK-NEXT:    func.return %0, %1 : tensor<3x2xf32>, tensor<3x2xf32>
// CHECK-NEXT:  }
func.func @shared_transpose(%x: tensor<2x3xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = hlt.exp %0 : tensor<3x2xf32>
  func.return %0, %1 : tensor<3x2xf32>, tensor<3x2xf32>
}

// CHECK-LABEL: func.func @transposes_cancel(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.add %x, %y : tensor<2x3xf32>
// CHECK-NEXT:    %1 = hlt.tanh %0 : tensor<2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @transposes_cancel(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = hlt.transpose %y <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %2 = hlt.add %0, %1 : tensor<3x2xf32>
  %3 = hlt.tanh %2 : tensor<3x2xf32>
  %4 = hlt.transpose %3 <permutation = [1, 0]> : (tensor<3x2xf32>) -> tensor<2x3xf32>
  func.return %4 : tensor<2x3xf32>
}

// What repeats is computed once.
// CHECK-LABEL: func.func @sink_broadcast(%x: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.exp %x : tensor<3xf32>
// CHECK-NEXT:    %1 = hlt.broadcast %0 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @sink_broadcast(%x: tensor<3xf32>) -> tensor<2x3xf32> {
  %0 = hlt.broadcast %x <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
  %1 = hlt.exp %0 : tensor<2x3xf32>
  func.return %1 : tensor<2x3xf32>
}

// The sum is computed at the lower rank; %y is read through a view.
// CHECK-LABEL: func.func @sink_reshape(%x: tensor<6xf32>, %y: tensor<1x6xf32>) -> tensor<1x6xf32> {
// CHECK-NEXT:    %0 = hlt.exp %x : tensor<6xf32>
// CHECK-NEXT:    %1 = hlt.reshape %y <shape = [6]> : (tensor<1x6xf32>) -> tensor<6xf32>
// CHECK-NEXT:    %2 = hlt.add %0, %1 : tensor<6xf32>
// CHECK-NEXT:    %3 = hlt.reshape %2 <shape = [1, 6]> : (tensor<6xf32>) -> tensor<1x6xf32>
// CHECK-NEXT:    func.return %3 : tensor<1x6xf32>
// CHECK-NEXT:  }
func.func @sink_reshape(%x: tensor<6xf32>, %y: tensor<1x6xf32>) -> tensor<1x6xf32> {
  %0 = hlt.exp %x : tensor<6xf32>
  %1 = hlt.reshape %0 <shape = [1, 6]> : (tensor<6xf32>) -> tensor<1x6xf32>
  %2 = hlt.add %1, %y : tensor<1x6xf32>
  func.return %2 : tensor<1x6xf32>
}

// A reshape to a lower rank stays where it is.
// CHECK-LABEL: func.func @keep_reshape(%x: tensor<2x3xf32>) -> tensor<6xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [6]> : (tensor<2x3xf32>) -> tensor<6xf32>
// CHECK-NEXT:    %1 = hlt.exp %0 : tensor<6xf32>
// CHECK-NEXT:    func.return %1 : tensor<6xf32>
// CHECK-NEXT:  }
func.func @keep_reshape(%x: tensor<2x3xf32>) -> tensor<6xf32> {
  %0 = hlt.reshape %x <shape = [6]> : (tensor<2x3xf32>) -> tensor<6xf32>
  %1 = hlt.exp %0 : tensor<6xf32>
  func.return %1 : tensor<6xf32>
}

// CHECK-LABEL: func.func @units_below_transpose(%x: tensor<2x3xf32>) -> tensor<1x3x2xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [1, 3, 2]> : (tensor<3x2xf32>) -> tensor<1x3x2xf32>
// CHECK-NEXT:    func.return %1 : tensor<1x3x2xf32>
// CHECK-NEXT:  }
func.func @units_below_transpose(%x: tensor<2x3xf32>) -> tensor<1x3x2xf32> {
  %0 = hlt.reshape %x <shape = [1, 2, 3]> : (tensor<2x3xf32>) -> tensor<1x2x3xf32>
  %1 = hlt.transpose %0 <permutation = [0, 2, 1]> : (tensor<1x2x3xf32>) -> tensor<1x3x2xf32>
  func.return %1 : tensor<1x3x2xf32>
}

// CHECK-LABEL: func.func @transpose_between_reshapes(%x: tensor<1x2x3xf32>) -> tensor<1x3x2xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [0, 2, 1]> : (tensor<1x2x3xf32>) -> tensor<1x3x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x3x2xf32>
// CHECK-NEXT:  }
func.func @transpose_between_reshapes(%x: tensor<1x2x3xf32>) -> tensor<1x3x2xf32> {
  %0 = hlt.reshape %x <shape = [2, 3]> : (tensor<1x2x3xf32>) -> tensor<2x3xf32>
  %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %2 = hlt.reshape %1 <shape = [1, 3, 2]> : (tensor<3x2xf32>) -> tensor<1x3x2xf32>
  func.return %2 : tensor<1x3x2xf32>
}

// CHECK-LABEL: func.func @units_below_slice(%x: tensor<6xf32>) -> tensor<1x2xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [1], sizes = [2], strides = [2]> : (tensor<6xf32>) -> tensor<2xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [1, 2]> : (tensor<2xf32>) -> tensor<1x2xf32>
// CHECK-NEXT:    func.return %1 : tensor<1x2xf32>
// CHECK-NEXT:  }
func.func @units_below_slice(%x: tensor<6xf32>) -> tensor<1x2xf32> {
  %0 = hlt.reshape %x <shape = [1, 6]> : (tensor<6xf32>) -> tensor<1x6xf32>
  %1 = hlt.slice %0 <starts = [0, 1], sizes = [1, 2], strides = [1, 2]> : (tensor<1x6xf32>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}

// CHECK-LABEL: func.func @leading_below_norm(%x: tensor<4x8xf32>) -> tensor<2x2x8xf32> {
// CHECK-NEXT:    %0 = hlt.layer_norm %x <axis = 1, epsilon = 1.0e-05> : tensor<4x8xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [2, 2, 8]> : (tensor<4x8xf32>) -> tensor<2x2x8xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x2x8xf32>
// CHECK-NEXT:  }
func.func @leading_below_norm(%x: tensor<4x8xf32>) -> tensor<2x2x8xf32> {
  %0 = hlt.reshape %x <shape = [2, 2, 8]> : (tensor<4x8xf32>) -> tensor<2x2x8xf32>
  %1 = hlt.layer_norm %0 <axis = 2, epsilon = 1.0e-05> : tensor<2x2x8xf32>
  func.return %1 : tensor<2x2x8xf32>
}

// The dim that is normalised is another one.
// CHECK-LABEL: func.func @split_before_norm(%x: tensor<4x8xf32>) -> tensor<4x2x4xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [4, 2, 4]> : (tensor<4x8xf32>) -> tensor<4x2x4xf32>
// CHECK-NEXT:    %1 = hlt.softmax %0 <axis = 2, log = false, safe = false> : tensor<4x2x4xf32>
// CHECK-NEXT:    func.return %1 : tensor<4x2x4xf32>
// CHECK-NEXT:  }
func.func @split_before_norm(%x: tensor<4x8xf32>) -> tensor<4x2x4xf32> {
  %0 = hlt.reshape %x <shape = [4, 2, 4]> : (tensor<4x8xf32>) -> tensor<4x2x4xf32>
  %1 = hlt.softmax %0 <axis = 2, log = false, safe = false> : tensor<4x2x4xf32>
  func.return %1 : tensor<4x2x4xf32>
}

// A number per channel is one per channel wherever the channels are.
// CHECK-LABEL: func.func @transpose_below_a_bias(%x: tensor<2x3x4xf32>, %b: tensor<4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %0 = hlt.broadcast %b <shape = [2, 3, 4], dims = [2]> : (tensor<4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    %1 = hlt.add %x, %0 : tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x3x4xf32>
// CHECK-NEXT:  }
func.func @transpose_below_a_bias(%x: tensor<2x3x4xf32>, %b: tensor<4xf32>) -> tensor<2x3x4xf32> {
  %0 = hlt.transpose %x <permutation = [0, 2, 1]> : (tensor<2x3x4xf32>) -> tensor<2x4x3xf32>
  %1 = hlt.broadcast %b <shape = [2, 4, 3], dims = [1]> : (tensor<4xf32>) -> tensor<2x4x3xf32>
  %2 = hlt.add %0, %1 : tensor<2x4x3xf32>
  %3 = hlt.transpose %2 <permutation = [0, 2, 1]> : (tensor<2x4x3xf32>) -> tensor<2x3x4xf32>
  func.return %3 : tensor<2x3x4xf32>
}

// CHECK-LABEL: func.func @leading_below_dot(%x: tensor<4x8xf32>, %w: tensor<8x3xf32>) -> tensor<2x2x3xf32> {
// CHECK-NEXT:    %0 = hlt.dot_general %x, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [2, 2, 3]> : (tensor<4x3xf32>) -> tensor<2x2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x2x3xf32>
// CHECK-NEXT:  }
func.func @leading_below_dot(%x: tensor<4x8xf32>, %w: tensor<8x3xf32>) -> tensor<2x2x3xf32> {
  %0 = hlt.reshape %x <shape = [2, 2, 8]> : (tensor<4x8xf32>) -> tensor<2x2x8xf32>
  %1 = hlt.dot_general %0, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [2], rhs_contract = [0]> : (tensor<2x2x8xf32>, tensor<8x3xf32>) -> tensor<2x2x3xf32>
  func.return %1 : tensor<2x2x3xf32>
}
