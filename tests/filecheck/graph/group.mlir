// RUN: mlc opt %s -p group --verify-each | filecheck %s

// Operator fusion: what is computed together.

// A convolution takes in its bias, the residual sum and the activation; the sum goes to the later convolution.
// CHECK-LABEL: func.func @residual_block(%x: tensor<1x4x8x8xf32>, %v: tensor<4x4x1x1xf32>, %w: tensor<4x4x3x3xf32>, %b: tensor<4xf32>) -> tensor<1x4x8x8xf32> {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<1x4x8x8xf32>, %v_1 = %v : tensor<4x4x1x1xf32>) -> (tensor<1x4x8x8xf32>) {
// CHECK-NEXT:      %1 = hlt.conv %x_1, %v_1 <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> {hlt.node = "side"} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<1x4x8x8xf32>
// CHECK-NEXT:    } {hlt.node = "side"}
// CHECK-NEXT:    %1 = hlt.fusion(%x_1 = %x : tensor<1x4x8x8xf32>, %w_1 = %w : tensor<4x4x3x3xf32>, %b_1 = %b : tensor<4xf32>, %2 = %0 : tensor<1x4x8x8xf32>) -> (tensor<1x4x8x8xf32>) {
// CHECK-NEXT:      %3 = hlt.conv %x_1, %w_1 <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> {hlt.node = "main"} : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
// CHECK-NEXT:      %4 = hlt.broadcast %b_1 <shape = [1, 4, 8, 8], dims = [1]> : (tensor<4xf32>) -> tensor<1x4x8x8xf32>
// CHECK-NEXT:      %5 = hlt.add %3, %4 {hlt.node = "main"} : tensor<1x4x8x8xf32>
// CHECK-NEXT:      %6 = hlt.add %5, %2 {hlt.node = "sum"} : tensor<1x4x8x8xf32>
// CHECK-NEXT:      %7 = hlt.constant dense<0.000000e+00> : tensor<1x4x8x8xf32>
// CHECK-NEXT:      %8 = hlt.maximum %6, %7 {hlt.node = "relu"} : tensor<1x4x8x8xf32>
// CHECK-NEXT:      hlt.yield %8 : tensor<1x4x8x8xf32>
// CHECK-NEXT:    } {hlt.node = "main + sum + relu"}
// CHECK-NEXT:    func.return %1 : tensor<1x4x8x8xf32>
// CHECK-NEXT:  }
func.func @residual_block(%x: tensor<1x4x8x8xf32>, %v: tensor<4x4x1x1xf32>, %w: tensor<4x4x3x3xf32>, %b: tensor<4xf32>) -> tensor<1x4x8x8xf32> {
  %0 = hlt.conv %x, %v <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> {hlt.node = "side"} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %1 = hlt.conv %x, %w <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> {hlt.node = "main"} : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>) -> tensor<1x4x8x8xf32>
  %2 = hlt.broadcast %b <shape = [1, 4, 8, 8], dims = [1]> : (tensor<4xf32>) -> tensor<1x4x8x8xf32>
  %3 = hlt.add %1, %2 {hlt.node = "main"} : tensor<1x4x8x8xf32>
  %4 = hlt.add %3, %0 {hlt.node = "sum"} : tensor<1x4x8x8xf32>
  %5 = hlt.constant dense<0.0> : tensor<1x4x8x8xf32>
  %6 = hlt.maximum %4, %5 {hlt.node = "relu"} : tensor<1x4x8x8xf32>
  func.return %6 : tensor<1x4x8x8xf32>
}

// An epilogue may branch, as long as one value leaves it.
// CHECK-LABEL: func.func @silu(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>) -> tensor<3x5xf32> {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<3x4xf32>, %w_1 = %w : tensor<4x5xf32>) -> (tensor<3x5xf32>) {
// CHECK-NEXT:      %1 = hlt.dot_general %x_1, %w_1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:      %2 = hlt.sigmoid %1 : tensor<3x5xf32>
// CHECK-NEXT:      %3 = hlt.mul %1, %2 : tensor<3x5xf32>
// CHECK-NEXT:      hlt.yield %3 : tensor<3x5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %0 : tensor<3x5xf32>
// CHECK-NEXT:  }
func.func @silu(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>) -> tensor<3x5xf32> {
  %0 = hlt.dot_general %x, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %1 = hlt.sigmoid %0 : tensor<3x5xf32>
  %2 = hlt.mul %0, %1 : tensor<3x5xf32>
  func.return %2 : tensor<3x5xf32>
}

// Here two leave: the second operation is a group of its own.
// CHECK-LABEL: func.func @two_results(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>) -> (tensor<3x5xf32>, tensor<3x5xf32>) {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<3x4xf32>, %w_1 = %w : tensor<4x5xf32>) -> (tensor<3x5xf32>) {
// CHECK-NEXT:      %1 = hlt.dot_general %x_1, %w_1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<3x5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<3x5xf32>) -> (tensor<3x5xf32>) {
// CHECK-NEXT:      %3 = hlt.sigmoid %2 : tensor<3x5xf32>
// CHECK-NEXT:      hlt.yield %3 : tensor<3x5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %0, %1 : tensor<3x5xf32>, tensor<3x5xf32>
// CHECK-NEXT:  }
func.func @two_results(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>) -> (tensor<3x5xf32>, tensor<3x5xf32>) {
  %0 = hlt.dot_general %x, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %1 = hlt.sigmoid %0 : tensor<3x5xf32>
  func.return %0, %1 : tensor<3x5xf32>, tensor<3x5xf32>
}

// Element-wise operations and movement make trees; a splat is copied into each, movement into each reader.
// CHECK-LABEL: func.func @trees(%x: tensor<2x3xf32>, %y: tensor<3x2xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
// CHECK-NEXT:    %0 = hlt.fusion(%y_1 = %y : tensor<3x2xf32>, %x_1 = %x : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %1 = hlt.transpose %y_1 <permutation = [1, 0]> : (tensor<3x2xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:      %2 = hlt.constant dense<2.000000e+00> : tensor<2x3xf32>
// CHECK-NEXT:      %3 = hlt.mul %x_1, %2 : tensor<2x3xf32>
// CHECK-NEXT:      %4 = hlt.add %3, %1 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %4 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%y_1 = %y : tensor<3x2xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %2 = hlt.transpose %y_1 <permutation = [1, 0]> : (tensor<3x2xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:      %3 = hlt.constant dense<2.000000e+00> : tensor<2x3xf32>
// CHECK-NEXT:      %4 = hlt.sub %3, %2 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %4 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @trees(%x: tensor<2x3xf32>, %y: tensor<3x2xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %0 = hlt.transpose %y <permutation = [1, 0]> : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %1 = hlt.constant dense<2.0> : tensor<2x3xf32>
  %2 = hlt.mul %x, %1 : tensor<2x3xf32>
  %3 = hlt.add %2, %0 : tensor<2x3xf32>
  %4 = hlt.sub %1, %0 : tensor<2x3xf32>
  func.return %3, %4 : tensor<2x3xf32>, tensor<2x3xf32>
}

// Nothing but movement is computed twice: the exponential has two readers, so it is stored.
// CHECK-LABEL: func.func @shared(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %1 = hlt.exp %x_1 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %3 = hlt.neg %2 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %3 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = hlt.fusion(%3 = %0 : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %4 = hlt.abs %3 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %4 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %1, %2 : tensor<2x3xf32>, tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @shared(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %0 = hlt.exp %x : tensor<2x3xf32>
  %1 = hlt.neg %0 : tensor<2x3xf32>
  %2 = hlt.abs %0 : tensor<2x3xf32>
  func.return %1, %2 : tensor<2x3xf32>, tensor<2x3xf32>
}

// Not even behind a broadcast, unless it is cheap.
// CHECK-LABEL: func.func @behind_broadcasts(%x: tensor<3xf32>, %y: tensor<3xf32>, %z: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<3xf32>) -> (tensor<3xf32>) {
// CHECK-NEXT:      %1 = hlt.exp %x_1 : tensor<3xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<3xf32>, %y_1 = %y : tensor<3xf32>, %z_1 = %z : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %3 = hlt.broadcast %2 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:      %4 = hlt.neg %y_1 : tensor<3xf32>
// CHECK-NEXT:      %5 = hlt.broadcast %4 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:      %6 = hlt.mul %z_1, %3 : tensor<2x3xf32>
// CHECK-NEXT:      %7 = hlt.add %6, %5 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %7 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %1 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @behind_broadcasts(%x: tensor<3xf32>, %y: tensor<3xf32>, %z: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = hlt.exp %x : tensor<3xf32>
  %1 = hlt.broadcast %0 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
  %2 = hlt.neg %y : tensor<3xf32>
  %3 = hlt.broadcast %2 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
  %4 = hlt.mul %z, %1 : tensor<2x3xf32>
  %5 = hlt.add %4, %3 : tensor<2x3xf32>
  func.return %5 : tensor<2x3xf32>
}

// A reduction computes its operand on the fly, a product only moves it.
// CHECK-LABEL: func.func @prologues(%x: tensor<4x3xf32>, %w: tensor<3x5xf32>) -> (tensor<4xf32>, tensor<3x5xf32>) {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<4x3xf32>) -> (tensor<4xf32>) {
// CHECK-NEXT:      %1 = hlt.exp %x_1 : tensor<4x3xf32>
// CHECK-NEXT:      %2 = hlt.reduce %1 <kind = "sum", axes = [1], keep_dims = false> : (tensor<4x3xf32>) -> tensor<4xf32>
// CHECK-NEXT:      hlt.yield %2 : tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%w_1 = %w : tensor<3x5xf32>) -> (tensor<3x5xf32>) {
// CHECK-NEXT:      %2 = hlt.abs %w_1 : tensor<3x5xf32>
// CHECK-NEXT:      hlt.yield %2 : tensor<3x5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = hlt.fusion(%x_1 = %x : tensor<4x3xf32>, %3 = %1 : tensor<3x5xf32>) -> (tensor<3x5xf32>) {
// CHECK-NEXT:      %4 = hlt.slice %x_1 <starts = [1, 0], sizes = [3, 3], strides = [1, 1]> : (tensor<4x3xf32>) -> tensor<3x3xf32>
// CHECK-NEXT:      %5 = hlt.dot_general %4, %3 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x3xf32>, tensor<3x5xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:      hlt.yield %5 : tensor<3x5xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %0, %2 : tensor<4xf32>, tensor<3x5xf32>
// CHECK-NEXT:  }
func.func @prologues(%x: tensor<4x3xf32>, %w: tensor<3x5xf32>) -> (tensor<4xf32>, tensor<3x5xf32>) {
  %0 = hlt.exp %x : tensor<4x3xf32>
  %1 = hlt.reduce %0 <kind = "sum", axes = [1], keep_dims = false> : (tensor<4x3xf32>) -> tensor<4xf32>
  %2 = hlt.slice %x <starts = [1, 0], sizes = [3, 3], strides = [1, 1]> : (tensor<4x3xf32>) -> tensor<3x3xf32>
  %3 = hlt.abs %w : tensor<3x5xf32>
  %4 = hlt.dot_general %2, %3 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x3xf32>, tensor<3x5xf32>) -> tensor<3x5xf32>
  func.return %1, %4 : tensor<4xf32>, tensor<3x5xf32>
}

// Heads: queries are read through the split and the transpose; the result is written transposed, since the merge that
// follows can't be read through. The reshapes outside are views.
// CHECK-LABEL: func.func @attention(%q: tensor<1x5x8xf32>, %k: tensor<1x2x7x4xf32>, %w: tensor<8x3xf32>) -> tensor<1x5x3xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %q <shape = [1, 5, 2, 4]> : (tensor<1x5x8xf32>) -> tensor<1x5x2x4xf32>
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<1x5x2x4xf32>, %k_1 = %k : tensor<1x2x7x4xf32>) -> (tensor<1x5x2x4xf32>) {
// CHECK-NEXT:      %3 = hlt.transpose %2 <permutation = [0, 2, 1, 3]> : (tensor<1x5x2x4xf32>) -> tensor<1x2x5x4xf32>
// CHECK-NEXT:      %4 = hlt.attention %3, %k_1, %k_1 <scale = 0.5, causal = false> : (tensor<1x2x5x4xf32>, tensor<1x2x7x4xf32>, tensor<1x2x7x4xf32>) -> tensor<1x2x5x4xf32>
// CHECK-NEXT:      %5 = hlt.transpose %4 <permutation = [0, 2, 1, 3]> : (tensor<1x2x5x4xf32>) -> tensor<1x5x2x4xf32>
// CHECK-NEXT:      hlt.yield %5 : tensor<1x5x2x4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = hlt.reshape %1 <shape = [1, 5, 8]> : (tensor<1x5x2x4xf32>) -> tensor<1x5x8xf32>
// CHECK-NEXT:    %3 = hlt.fusion(%4 = %2 : tensor<1x5x8xf32>, %w_1 = %w : tensor<8x3xf32>) -> (tensor<1x5x3xf32>) {
// CHECK-NEXT:      %5 = hlt.dot_general %4, %w_1 <lhs_batch = [], rhs_batch = [], lhs_contract = [2], rhs_contract = [0]> : (tensor<1x5x8xf32>, tensor<8x3xf32>) -> tensor<1x5x3xf32>
// CHECK-NEXT:      hlt.yield %5 : tensor<1x5x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %3 : tensor<1x5x3xf32>
// CHECK-NEXT:  }
func.func @attention(%q: tensor<1x5x8xf32>, %k: tensor<1x2x7x4xf32>, %w: tensor<8x3xf32>) -> tensor<1x5x3xf32> {
  %0 = hlt.reshape %q <shape = [1, 5, 2, 4]> : (tensor<1x5x8xf32>) -> tensor<1x5x2x4xf32>
  %1 = hlt.transpose %0 <permutation = [0, 2, 1, 3]> : (tensor<1x5x2x4xf32>) -> tensor<1x2x5x4xf32>
  %2 = hlt.attention %1, %k, %k <scale = 0.5, causal = false> : (tensor<1x2x5x4xf32>, tensor<1x2x7x4xf32>, tensor<1x2x7x4xf32>) -> tensor<1x2x5x4xf32>
  %3 = hlt.transpose %2 <permutation = [0, 2, 1, 3]> : (tensor<1x2x5x4xf32>) -> tensor<1x5x2x4xf32>
  %4 = hlt.reshape %3 <shape = [1, 5, 8]> : (tensor<1x5x2x4xf32>) -> tensor<1x5x8xf32>
  %5 = hlt.dot_general %4, %w <lhs_batch = [], rhs_batch = [], lhs_contract = [2], rhs_contract = [0]> : (tensor<1x5x8xf32>, tensor<8x3xf32>) -> tensor<1x5x3xf32>
  func.return %5 : tensor<1x5x3xf32>
}

// What is shuffled can't be read through: the transpose is a group between two views.
// CHECK-LABEL: func.func @channel_shuffle(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) -> tensor<1x2x3xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [1, 2, 2, 3]> : (tensor<1x4x3xf32>) -> tensor<1x2x2x3xf32>
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<1x2x2x3xf32>) -> (tensor<1x2x2x3xf32>) {
// CHECK-NEXT:      %3 = hlt.transpose %2 <permutation = [0, 2, 1, 3]> : tensor<1x2x2x3xf32>
// CHECK-NEXT:      hlt.yield %3 : tensor<1x2x2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = hlt.reshape %1 <shape = [1, 4, 3]> : (tensor<1x2x2x3xf32>) -> tensor<1x4x3xf32>
// CHECK-NEXT:    %3 = hlt.fusion(%4 = %2 : tensor<1x4x3xf32>, %w_1 = %w : tensor<2x4x1xf32>) -> (tensor<1x2x3xf32>) {
// CHECK-NEXT:      %5 = hlt.conv %4, %w_1 <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], groups = 1> : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
// CHECK-NEXT:      hlt.yield %5 : tensor<1x2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %3 : tensor<1x2x3xf32>
// CHECK-NEXT:  }
func.func @channel_shuffle(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) -> tensor<1x2x3xf32> {
  %0 = hlt.reshape %x <shape = [1, 2, 2, 3]> : (tensor<1x4x3xf32>) -> tensor<1x2x2x3xf32>
  %1 = hlt.transpose %0 <permutation = [0, 2, 1, 3]> : tensor<1x2x2x3xf32>
  %2 = hlt.reshape %1 <shape = [1, 4, 3]> : (tensor<1x2x2x3xf32>) -> tensor<1x4x3xf32>
  %3 = hlt.conv %2, %w <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], groups = 1> : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
  func.return %3 : tensor<1x2x3xf32>
}

// Other operations stand alone, with all their results.
// CHECK-LABEL: func.func @alone(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<8xf32>, tensor<2xf32>, tensor<2xi64>) {
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<4xf32>) -> (tensor<4xf32>) {
// CHECK-NEXT:      %1 = hlt.exp %x_1 : tensor<4xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<4xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%2 = %0 : tensor<4xf32>, %y_1 = %y : tensor<4xf32>) -> (tensor<8xf32>) {
// CHECK-NEXT:      %3 = hlt.concat %2, %y_1 <axis = 0> : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
// CHECK-NEXT:      hlt.yield %3 : tensor<8xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2, %3 = hlt.fusion(%y_1 = %y : tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>) {
// CHECK-NEXT:      %4, %5 = hlt.top_k %y_1 <k = 2, axis = 0, largest = true, sorted = true> : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
// CHECK-NEXT:      hlt.yield %4, %5 : tensor<2xf32>, tensor<2xi64>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %1, %2, %3 : tensor<8xf32>, tensor<2xf32>, tensor<2xi64>
// CHECK-NEXT:  }
func.func @alone(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<8xf32>, tensor<2xf32>, tensor<2xi64>) {
  %0 = hlt.exp %x : tensor<4xf32>
  %1 = hlt.concat %0, %y <axis = 0> : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  %2, %3 = hlt.top_k %y <k = 2, axis = 0, largest = true, sorted = true> : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  func.return %1, %2, %3 : tensor<8xf32>, tensor<2xf32>, tensor<2xi64>
}

// CHECK-LABEL: func.func @views_of_arguments(%x: tensor<4xf32>) -> tensor<2x2xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [2, 2]> : (tensor<4xf32>) -> tensor<2x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x2xf32>
// CHECK-NEXT:  }
func.func @views_of_arguments(%x: tensor<4xf32>) -> tensor<2x2xf32> {
  %0 = hlt.reshape %x <shape = [2, 2]> : (tensor<4xf32>) -> tensor<2x2xf32>
  func.return %0 : tensor<2x2xf32>
}
