// RUN: mlc opt %s -p canonicalize --verify-each | filecheck %s

// Reductions, contractions and gathers.

// CHECK-LABEL: func.func @reduce_of_units(%x: tensor<1x3x1xf32>) -> (tensor<3xf32>, tensor<3x1xf32>) {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [3]> : (tensor<1x3x1xf32>) -> tensor<3xf32>
// CHECK-NEXT:    %1 = hlt.reshape %x <shape = [3, 1]> : (tensor<1x3x1xf32>) -> tensor<3x1xf32>
// CHECK-NEXT:    func.return %0, %1 : tensor<3xf32>, tensor<3x1xf32>
// CHECK-NEXT:  }
func.func @reduce_of_units(%x: tensor<1x3x1xf32>) -> (tensor<3xf32>, tensor<3x1xf32>) {
  %0 = hlt.reduce %x <kind = "mean", axes = [0, 2], keep_dims = false> : (tensor<1x3x1xf32>) -> tensor<3xf32>
  %1 = hlt.reduce %x <kind = "sum", axes = [], keep_dims = false> : tensor<1x3x1xf32>
  %2 = hlt.reduce %1 <kind = "max", axes = [0], keep_dims = false> : (tensor<1x3x1xf32>) -> tensor<3x1xf32>
  func.return %0, %2 : tensor<3xf32>, tensor<3x1xf32>
}

// CHECK-LABEL: func.func @reduce_of_some_units(%x: tensor<1x3x4xf32>) -> tensor<3xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "sum", axes = [2], keep_dims = false> : (tensor<1x3x4xf32>) -> tensor<1x3xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [3]> : (tensor<1x3xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return %1 : tensor<3xf32>
// CHECK-NEXT:  }
func.func @reduce_of_some_units(%x: tensor<1x3x4xf32>) -> tensor<3xf32> {
  %0 = hlt.reduce %x <kind = "sum", axes = [0, 2], keep_dims = false> : (tensor<1x3x4xf32>) -> tensor<3xf32>
  func.return %0 : tensor<3xf32>
}

// CHECK-LABEL: func.func @reduce_of_reduce(%x: tensor<2x3x4xf32>) -> tensor<3xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "max", axes = [0, 2], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return %0 : tensor<3xf32>
// CHECK-NEXT:  }
func.func @reduce_of_reduce(%x: tensor<2x3x4xf32>) -> tensor<3xf32> {
  %0 = hlt.reduce %x <kind = "max", axes = [0], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<3x4xf32>
  %1 = hlt.reduce %0 <kind = "max", axes = [1], keep_dims = false> : (tensor<3x4xf32>) -> tensor<3xf32>
  func.return %1 : tensor<3xf32>
}

// CHECK-LABEL: func.func @reduce_of_another_reduce(%x: tensor<2x3x4xf32>) -> tensor<3xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "max", axes = [0], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<3x4xf32>
// CHECK-NEXT:    %1 = hlt.reduce %0 <kind = "sum", axes = [1], keep_dims = false> : (tensor<3x4xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return %1 : tensor<3xf32>
// CHECK-NEXT:  }
func.func @reduce_of_another_reduce(%x: tensor<2x3x4xf32>) -> tensor<3xf32> {
  %0 = hlt.reduce %x <kind = "max", axes = [0], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<3x4xf32>
  %1 = hlt.reduce %0 <kind = "sum", axes = [1], keep_dims = false> : (tensor<3x4xf32>) -> tensor<3xf32>
  func.return %1 : tensor<3xf32>
}

// CHECK-LABEL: func.func @reduce_of_transpose(%x: tensor<2x3x4xf32>) -> tensor<4x2xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "sum", axes = [1], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x4xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:    func.return %1 : tensor<4x2xf32>
// CHECK-NEXT:  }
func.func @reduce_of_transpose(%x: tensor<2x3x4xf32>) -> tensor<4x2xf32> {
  %0 = hlt.transpose %x <permutation = [2, 1, 0]> : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
  %1 = hlt.reduce %0 <kind = "sum", axes = [1], keep_dims = false> : (tensor<4x3x2xf32>) -> tensor<4x2xf32>
  func.return %1 : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @window_of_one(%x: tensor<1x2x5x5xf32>) -> tensor<1x2x3x3xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [0, 0, 0, 0], sizes = [1, 2, 3, 3], strides = [1, 1, 2, 2]> : (tensor<1x2x5x5xf32>) -> tensor<1x2x3x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x2x3x3xf32>
// CHECK-NEXT:  }
func.func @window_of_one(%x: tensor<1x2x5x5xf32>) -> tensor<1x2x3x3xf32> {
  %0 = hlt.reduce_window %x <kind = "max", window = [1, 1, 1, 1], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x2x5x5xf32>) -> tensor<1x2x3x3xf32>
  func.return %0 : tensor<1x2x3x3xf32>
}

// CHECK-LABEL: func.func @window_of_all(%x: tensor<1x2x5x5xf32>) -> tensor<1x2x1x1xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "mean", axes = [2, 3], keep_dims = true> : (tensor<1x2x5x5xf32>) -> tensor<1x2x1x1xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x2x1x1xf32>
// CHECK-NEXT:  }
func.func @window_of_all(%x: tensor<1x2x5x5xf32>) -> tensor<1x2x1x1xf32> {
  %0 = hlt.reduce_window %x <kind = "mean", window = [1, 1, 5, 5], strides = [1, 1, 5, 5], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x2x5x5xf32>) -> tensor<1x2x1x1xf32>
  func.return %0 : tensor<1x2x1x1xf32>
}

// CHECK-LABEL: func.func @window_of_pad(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32> {
// CHECK-NEXT:    %0 = hlt.reduce_window %x <kind = "sum", window = [1, 1, 3, 3], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 1, 1], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x1x2x2xf32>
// CHECK-NEXT:  }
func.func @window_of_pad(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32> {
  %0 = hlt.pad %x <low = [0, 0, 1, 1], high = [0, 0, 0, 0], mode = "constant", value = 0.0> : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x5xf32>
  %1 = hlt.reduce_window %0 <kind = "sum", window = [1, 1, 3, 3], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x1x5x5xf32>) -> tensor<1x1x2x2xf32>
  func.return %1 : tensor<1x1x2x2xf32>
}

// A mean counts its padding.
// CHECK-LABEL: func.func @mean_of_pad(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32> {
// CHECK-NEXT:    %0 = hlt.pad %x <low = [0, 0, 1, 1], high = [0, 0, 0, 0], mode = "constant", value = 0.0> : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x5xf32>
// CHECK-NEXT:    %1 = hlt.reduce_window %0 <kind = "mean", window = [1, 1, 3, 3], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x1x5x5xf32>) -> tensor<1x1x2x2xf32>
// CHECK-NEXT:    func.return %1 : tensor<1x1x2x2xf32>
// CHECK-NEXT:  }
func.func @mean_of_pad(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32> {
  %0 = hlt.pad %x <low = [0, 0, 1, 1], high = [0, 0, 0, 0], mode = "constant", value = 0.0> : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x5xf32>
  %1 = hlt.reduce_window %0 <kind = "mean", window = [1, 1, 3, 3], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x1x5x5xf32>) -> tensor<1x1x2x2xf32>
  func.return %1 : tensor<1x1x2x2xf32>
}

// CHECK-LABEL: func.func @conv_of_pad(%x: tensor<1x2x4x4xf32>, %w: tensor<3x2x3x3xf32>) -> tensor<1x3x4x5xf32> {
// CHECK-NEXT:    %0 = hlt.conv %x, %w <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 2], dilations = [1, 1], groups = 1> : (tensor<1x2x4x4xf32>, tensor<3x2x3x3xf32>) -> tensor<1x3x4x5xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x3x4x5xf32>
// CHECK-NEXT:  }
func.func @conv_of_pad(%x: tensor<1x2x4x4xf32>, %w: tensor<3x2x3x3xf32>) -> tensor<1x3x4x5xf32> {
  %0 = hlt.pad %x <low = [0, 0, 1, 1], high = [0, 0, 1, 2], mode = "constant", value = 0.0> : (tensor<1x2x4x4xf32>) -> tensor<1x2x6x7xf32>
  %1 = hlt.conv %0, %w <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x2x6x7xf32>, tensor<3x2x3x3xf32>) -> tensor<1x3x4x5xf32>
  func.return %1 : tensor<1x3x4x5xf32>
}

// CHECK-LABEL: func.func @conv_of_one_pixel(%x: tensor<2x4x1x1xf32>, %w: tensor<3x4x1x1xf32>) -> tensor<2x3x1x1xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [2, 4]> : (tensor<2x4x1x1xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    %1 = hlt.reshape %w <shape = [3, 4]> : (tensor<3x4x1x1xf32>) -> tensor<3x4xf32>
// CHECK-NEXT:    %2 = hlt.dot_general %0, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]> : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %3 = hlt.reshape %2 <shape = [2, 3, 1, 1]> : (tensor<2x3xf32>) -> tensor<2x3x1x1xf32>
// CHECK-NEXT:    func.return %3 : tensor<2x3x1x1xf32>
// CHECK-NEXT:  }
func.func @conv_of_one_pixel(%x: tensor<2x4x1x1xf32>, %w: tensor<3x4x1x1xf32>) -> tensor<2x3x1x1xf32> {
  %0 = hlt.conv %x, %w <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<2x4x1x1xf32>, tensor<3x4x1x1xf32>) -> tensor<2x3x1x1xf32>
  func.return %0 : tensor<2x3x1x1xf32>
}

// CHECK-LABEL: func.func @dot_of_transposes(%x: tensor<4x2x3xf32>, %y: tensor<5x2x4xf32>) -> tensor<2x3x5xf32> {
// CHECK-NEXT:    %0 = hlt.dot_general %x, %y <lhs_batch = [1], rhs_batch = [1], lhs_contract = [0], rhs_contract = [2]> : (tensor<4x2x3xf32>, tensor<5x2x4xf32>) -> tensor<2x3x5xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x3x5xf32>
// CHECK-NEXT:  }
func.func @dot_of_transposes(%x: tensor<4x2x3xf32>, %y: tensor<5x2x4xf32>) -> tensor<2x3x5xf32> {
  %0 = hlt.transpose %x <permutation = [1, 2, 0]> : (tensor<4x2x3xf32>) -> tensor<2x3x4xf32>
  %1 = hlt.transpose %y <permutation = [1, 2, 0]> : (tensor<5x2x4xf32>) -> tensor<2x4x5xf32>
  %2 = hlt.dot_general %0, %1 <lhs_batch = [0], rhs_batch = [0], lhs_contract = [2], rhs_contract = [1]> : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  func.return %2 : tensor<2x3x5xf32>
}

// The order of free dims is the result's.
// CHECK-LABEL: func.func @dot_of_transposed_free_dims(%x: tensor<2x3x4xf32>, %y: tensor<4x5xf32>) -> tensor<3x2x5xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [1, 0, 2]> : (tensor<2x3x4xf32>) -> tensor<3x2x4xf32>
// CHECK-NEXT:    %1 = hlt.dot_general %0, %y <lhs_batch = [], rhs_batch = [], lhs_contract = [2], rhs_contract = [0]> : (tensor<3x2x4xf32>, tensor<4x5xf32>) -> tensor<3x2x5xf32>
// CHECK-NEXT:    func.return %1 : tensor<3x2x5xf32>
// CHECK-NEXT:  }
func.func @dot_of_transposed_free_dims(%x: tensor<2x3x4xf32>, %y: tensor<4x5xf32>) -> tensor<3x2x5xf32> {
  %0 = hlt.transpose %x <permutation = [1, 0, 2]> : (tensor<2x3x4xf32>) -> tensor<3x2x4xf32>
  %1 = hlt.dot_general %0, %y <lhs_batch = [], rhs_batch = [], lhs_contract = [2], rhs_contract = [0]> : (tensor<3x2x4xf32>, tensor<4x5xf32>) -> tensor<3x2x5xf32>
  func.return %1 : tensor<3x2x5xf32>
}

// CHECK-LABEL: func.func @dot_of_units(%x: tensor<1x3x4xf32>, %y: tensor<1x4x5xf32>) -> tensor<1x3x5xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [3, 4]> : (tensor<1x3x4xf32>) -> tensor<3x4xf32>
// CHECK-NEXT:    %1 = hlt.reshape %y <shape = [4, 5]> : (tensor<1x4x5xf32>) -> tensor<4x5xf32>
// CHECK-NEXT:    %2 = hlt.dot_general %0, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
// CHECK-NEXT:    %3 = hlt.reshape %2 <shape = [1, 3, 5]> : (tensor<3x5xf32>) -> tensor<1x3x5xf32>
// CHECK-NEXT:    func.return %3 : tensor<1x3x5xf32>
// CHECK-NEXT:  }
func.func @dot_of_units(%x: tensor<1x3x4xf32>, %y: tensor<1x4x5xf32>) -> tensor<1x3x5xf32> {
  %0 = hlt.dot_general %x, %y <lhs_batch = [0], rhs_batch = [0], lhs_contract = [2], rhs_contract = [1]> : (tensor<1x3x4xf32>, tensor<1x4x5xf32>) -> tensor<1x3x5xf32>
  func.return %0 : tensor<1x3x5xf32>
}

// CHECK-LABEL: func.func @gather_of_run(%x: tensor<9x2xf32>) -> tensor<2x2x2xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [1, 0], sizes = [4, 2], strides = [2, 1]> : (tensor<9x2xf32>) -> tensor<4x2xf32>
// CHECK-NEXT:    %1 = hlt.reshape %0 <shape = [2, 2, 2]> : (tensor<4x2xf32>) -> tensor<2x2x2xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x2x2xf32>
// CHECK-NEXT:  }
func.func @gather_of_run(%x: tensor<9x2xf32>) -> tensor<2x2x2xf32> {
  %0 = hlt.constant dense<[[1, 3], [5, 7]]> : tensor<2x2xi64>
  %1 = hlt.gather %x, %0 <axis = 0> : (tensor<9x2xf32>, tensor<2x2xi64>) -> tensor<2x2x2xf32>
  func.return %1 : tensor<2x2x2xf32>
}

// CHECK-LABEL: func.func @gather_of_falling_run(%x: tensor<2x9xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [0, 4], sizes = [2, 3], strides = [1, 2]> : (tensor<2x9xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    %1 = hlt.reverse %0 <axes = [1]> : tensor<2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @gather_of_falling_run(%x: tensor<2x9xf32>) -> tensor<2x3xf32> {
  %0 = hlt.constant dense<[-1, 6, 4]> : tensor<3xi64>
  %1 = hlt.gather %x, %0 <axis = 1> : (tensor<2x9xf32>, tensor<3xi64>) -> tensor<2x3xf32>
  func.return %1 : tensor<2x3xf32>
}

// A bad index stays an error of the run.
// CHECK-LABEL: func.func @gather_out_of_range(%x: tensor<2xf32>) -> tensor<f32> {
// CHECK-NEXT:    %0 = hlt.constant dense<2> : tensor<i64>
// CHECK-NEXT:    %1 = hlt.gather %x, %0 <axis = 0> : (tensor<2xf32>, tensor<i64>) -> tensor<f32>
// CHECK-NEXT:    func.return %1 : tensor<f32>
// CHECK-NEXT:  }
func.func @gather_out_of_range(%x: tensor<2xf32>) -> tensor<f32> {
  %0 = hlt.constant dense<2> : tensor<i64>
  %1 = hlt.gather %x, %0 <axis = 0> : (tensor<2xf32>, tensor<i64>) -> tensor<f32>
  func.return %1 : tensor<f32>
}

// CHECK-LABEL: func.func @gather_nd_of_run(%x: tensor<2x3x4xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [6, 4]> : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
// CHECK-NEXT:    %1 = hlt.slice %0 <starts = [2, 0], sizes = [2, 4], strides = [1, 1]> : (tensor<6x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x4xf32>
// CHECK-NEXT:  }
func.func @gather_nd_of_run(%x: tensor<2x3x4xf32>) -> tensor<2x4xf32> {
  %0 = hlt.constant dense<[[0, 2], [1, 0]]> : tensor<2x2xi64>
  %1 = hlt.gather_nd %x, %0 <batch_dims = 0> : (tensor<2x3x4xf32>, tensor<2x2xi64>) -> tensor<2x4xf32>
  func.return %1 : tensor<2x4xf32>
}
