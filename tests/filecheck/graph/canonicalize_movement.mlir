// RUN: mlc opt %s -p canonicalize --verify-each | filecheck %s

// Movement that moves nothing, or that one operation can do instead of two.

// CHECK-LABEL: func.func @movement_of_splat() -> tensor<3x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<2.000000e+00> : tensor<3x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<3x2xf32>
// CHECK-NEXT:  }
func.func @movement_of_splat() -> tensor<3x2xf32> {
  %0 = hlt.constant dense<2.0> : tensor<2x3xf32>
  %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  func.return %1 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @movement_to_itself(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    func.return %x : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @movement_to_itself(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = hlt.reshape %x <shape = [2, 3]> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = hlt.transpose %0 <permutation = [0, 1]> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = hlt.slice %1 <starts = [0, 0], sizes = [2, 3], strides = [1, 1]> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = hlt.pad %2 <low = [0, 0], high = [0, 0], mode = "constant", value = 0.0> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %3 : tensor<2x3xf32>
}

// A square transpose keeps the shape, and does something.
// CHECK-LABEL: func.func @transpose_of_a_square(%x: tensor<3x3xf32>) -> tensor<3x3xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [1, 0]> : tensor<3x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<3x3xf32>
// CHECK-NEXT:  }
func.func @transpose_of_a_square(%x: tensor<3x3xf32>) -> tensor<3x3xf32> {
  %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<3x3xf32>) -> tensor<3x3xf32>
  func.return %0 : tensor<3x3xf32>
}

// CHECK-LABEL: func.func @reshape_of_reshape(%x: tensor<2x6xf32>) -> tensor<4x3xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [4, 3]> : (tensor<2x6xf32>) -> tensor<4x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<4x3xf32>
// CHECK-NEXT:  }
func.func @reshape_of_reshape(%x: tensor<2x6xf32>) -> tensor<4x3xf32> {
  %0 = hlt.reshape %x <shape = [12]> : (tensor<2x6xf32>) -> tensor<12xf32>
  %1 = hlt.reshape %0 <shape = [4, 3]> : (tensor<12xf32>) -> tensor<4x3xf32>
  func.return %1 : tensor<4x3xf32>
}

// CHECK-LABEL: func.func @reshape_of_reduce(%x: tensor<2x3x4xf32>) -> tensor<2x4xf32> {
// CHECK-NEXT:    %0 = hlt.reduce %x <kind = "max", axes = [1], keep_dims = false> : (tensor<2x3x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x4xf32>
// CHECK-NEXT:  }
func.func @reshape_of_reduce(%x: tensor<2x3x4xf32>) -> tensor<2x4xf32> {
  %0 = hlt.reduce %x <kind = "max", axes = [1], keep_dims = true> : (tensor<2x3x4xf32>) -> tensor<2x1x4xf32>
  %1 = hlt.reshape %0 <shape = [2, 4]> : (tensor<2x1x4xf32>) -> tensor<2x4xf32>
  func.return %1 : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @reshape_of_broadcast(%x: tensor<4xf32>) -> tensor<1x3x1x4xf32> {
// CHECK-NEXT:    %0 = hlt.broadcast %x <shape = [1, 3, 1, 4], dims = [3]> : (tensor<4xf32>) -> tensor<1x3x1x4xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x3x1x4xf32>
// CHECK-NEXT:  }
func.func @reshape_of_broadcast(%x: tensor<4xf32>) -> tensor<1x3x1x4xf32> {
  %0 = hlt.broadcast %x <shape = [3, 4], dims = [1]> : (tensor<4xf32>) -> tensor<3x4xf32>
  %1 = hlt.reshape %0 <shape = [1, 3, 1, 4]> : (tensor<3x4xf32>) -> tensor<1x3x1x4xf32>
  func.return %1 : tensor<1x3x1x4xf32>
}

// CHECK-LABEL: func.func @broadcast_of_units(%x: tensor<1x4x1xf32>) -> tensor<3x4x5xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [4]> : (tensor<1x4x1xf32>) -> tensor<4xf32>
// CHECK-NEXT:    %1 = hlt.broadcast %0 <shape = [3, 4, 5], dims = [1]> : (tensor<4xf32>) -> tensor<3x4x5xf32>
// CHECK-NEXT:    func.return %1 : tensor<3x4x5xf32>
// CHECK-NEXT:  }
func.func @broadcast_of_units(%x: tensor<1x4x1xf32>) -> tensor<3x4x5xf32> {
  %0 = hlt.broadcast %x <shape = [3, 4, 5], dims = [0, 1, 2]> : (tensor<1x4x1xf32>) -> tensor<3x4x5xf32>
  func.return %0 : tensor<3x4x5xf32>
}

// CHECK-LABEL: func.func @broadcast_that_repeats_nothing(%x: tensor<4xf32>) -> tensor<1x4x1xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [1, 4, 1]> : (tensor<4xf32>) -> tensor<1x4x1xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x4x1xf32>
// CHECK-NEXT:  }
func.func @broadcast_that_repeats_nothing(%x: tensor<4xf32>) -> tensor<1x4x1xf32> {
  %0 = hlt.broadcast %x <shape = [1, 4, 1], dims = [1]> : (tensor<4xf32>) -> tensor<1x4x1xf32>
  func.return %0 : tensor<1x4x1xf32>
}

// CHECK-LABEL: func.func @broadcast_of_broadcast(%x: tensor<4xf32>) -> tensor<2x3x4xf32> {
// CHECK-NEXT:    %0 = hlt.broadcast %x <shape = [2, 3, 4], dims = [2]> : (tensor<4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x3x4xf32>
// CHECK-NEXT:  }
func.func @broadcast_of_broadcast(%x: tensor<4xf32>) -> tensor<2x3x4xf32> {
  %0 = hlt.broadcast %x <shape = [3, 4], dims = [1]> : (tensor<4xf32>) -> tensor<3x4xf32>
  %1 = hlt.broadcast %0 <shape = [2, 3, 4], dims = [1, 2]> : (tensor<3x4xf32>) -> tensor<2x3x4xf32>
  func.return %1 : tensor<2x3x4xf32>
}

// CHECK-LABEL: func.func @transpose_of_transpose(%x: tensor<2x3x4xf32>) -> tensor<4x3x2xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [2, 1, 0]> : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<4x3x2xf32>
// CHECK-NEXT:  }
func.func @transpose_of_transpose(%x: tensor<2x3x4xf32>) -> tensor<4x3x2xf32> {
  %0 = hlt.transpose %x <permutation = [1, 2, 0]> : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = hlt.transpose %0 <permutation = [1, 0, 2]> : (tensor<3x4x2xf32>) -> tensor<4x3x2xf32>
  func.return %1 : tensor<4x3x2xf32>
}

// CHECK-LABEL: func.func @transpose_of_units(%x: tensor<2x1x3xf32>) -> tensor<1x2x3xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %x <shape = [1, 2, 3]> : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x2x3xf32>
// CHECK-NEXT:  }
func.func @transpose_of_units(%x: tensor<2x1x3xf32>) -> tensor<1x2x3xf32> {
  %0 = hlt.transpose %x <permutation = [1, 0, 2]> : (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>
  func.return %0 : tensor<1x2x3xf32>
}

// CHECK-LABEL: func.func @transpose_of_broadcast(%x: tensor<3x4xf32>) -> tensor<4x2x3xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %x <permutation = [1, 0]> : (tensor<3x4xf32>) -> tensor<4x3xf32>
// CHECK-NEXT:    %1 = hlt.broadcast %0 <shape = [4, 2, 3], dims = [0, 2]> : (tensor<4x3xf32>) -> tensor<4x2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<4x2x3xf32>
// CHECK-NEXT:  }
func.func @transpose_of_broadcast(%x: tensor<3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = hlt.broadcast %x <shape = [2, 3, 4], dims = [1, 2]> : (tensor<3x4xf32>) -> tensor<2x3x4xf32>
  %1 = hlt.transpose %0 <permutation = [2, 0, 1]> : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  func.return %1 : tensor<4x2x3xf32>
}

// CHECK-LABEL: func.func @transpose_of_iota() -> tensor<3x2xi32> {
// CHECK-NEXT:    %0 = hlt.iota <shape = [3, 2], axis = 0, dtype = i32> : tensor<3x2xi32>
// CHECK-NEXT:    func.return %0 : tensor<3x2xi32>
// CHECK-NEXT:  }
func.func @transpose_of_iota() -> tensor<3x2xi32> {
  %0 = hlt.iota <shape = [2, 3], axis = 1, dtype = i32> : tensor<2x3xi32>
  %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x3xi32>) -> tensor<3x2xi32>
  func.return %1 : tensor<3x2xi32>
}

// CHECK-LABEL: func.func @slice_of_slice(%x: tensor<20xf32>) -> tensor<3xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [5], sizes = [3], strides = [6]> : (tensor<20xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return %0 : tensor<3xf32>
// CHECK-NEXT:  }
func.func @slice_of_slice(%x: tensor<20xf32>) -> tensor<3xf32> {
  %0 = hlt.slice %x <starts = [1], sizes = [9], strides = [2]> : (tensor<20xf32>) -> tensor<9xf32>
  %1 = hlt.slice %0 <starts = [2], sizes = [3], strides = [3]> : (tensor<9xf32>) -> tensor<3xf32>
  func.return %1 : tensor<3xf32>
}

// CHECK-LABEL: func.func @slice_of_broadcast(%x: tensor<6xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [0], sizes = [3], strides = [2]> : (tensor<6xf32>) -> tensor<3xf32>
// CHECK-NEXT:    %1 = hlt.broadcast %0 <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return %1 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @slice_of_broadcast(%x: tensor<6xf32>) -> tensor<2x3xf32> {
  %0 = hlt.broadcast %x <shape = [4, 6], dims = [1]> : (tensor<6xf32>) -> tensor<4x6xf32>
  %1 = hlt.slice %0 <starts = [1, 0], sizes = [2, 3], strides = [1, 2]> : (tensor<4x6xf32>) -> tensor<2x3xf32>
  func.return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @slice_of_concat(%x: tensor<2xf32>, %y: tensor<3xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
// CHECK-NEXT:    %0 = hlt.concat %x, %y <axis = 0> : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
// CHECK-NEXT:    %1 = hlt.slice %y <starts = [1], sizes = [2], strides = [1]> : (tensor<3xf32>) -> tensor<2xf32>
// CHECK-NEXT:    %2 = hlt.slice %0 <starts = [1], sizes = [2], strides = [1]> : (tensor<5xf32>) -> tensor<2xf32>
// CHECK-NEXT:    func.return %1, %2 : tensor<2xf32>, tensor<2xf32>
// CHECK-NEXT:  }
func.func @slice_of_concat(%x: tensor<2xf32>, %y: tensor<3xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %0 = hlt.concat %x, %y <axis = 0> : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  %1 = hlt.slice %0 <starts = [3], sizes = [2], strides = [1]> : (tensor<5xf32>) -> tensor<2xf32>
  %2 = hlt.slice %0 <starts = [1], sizes = [2], strides = [1]> : (tensor<5xf32>) -> tensor<2xf32>
  func.return %1, %2 : tensor<2xf32>, tensor<2xf32>
}

// CHECK-LABEL: func.func @slice_of_pad(%x: tensor<4xf32>) -> tensor<2xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [1], sizes = [2], strides = [2]> : (tensor<4xf32>) -> tensor<2xf32>
// CHECK-NEXT:    func.return %0 : tensor<2xf32>
// CHECK-NEXT:  }
func.func @slice_of_pad(%x: tensor<4xf32>) -> tensor<2xf32> {
  %0 = hlt.pad %x <low = [2], high = [2], mode = "reflect", value = 0.0> : (tensor<4xf32>) -> tensor<8xf32>
  %1 = hlt.slice %0 <starts = [3], sizes = [2], strides = [2]> : (tensor<8xf32>) -> tensor<2xf32>
  func.return %1 : tensor<2xf32>
}

// CHECK-LABEL: func.func @reverse_of_units(%x: tensor<1x3xf32>) -> tensor<1x3xf32> {
// CHECK-NEXT:    %0 = hlt.reverse %x <axes = [1]> : tensor<1x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<1x3xf32>
// CHECK-NEXT:  }
func.func @reverse_of_units(%x: tensor<1x3xf32>) -> tensor<1x3xf32> {
  %0 = hlt.reverse %x <axes = [0, 1]> : tensor<1x3xf32>
  func.return %0 : tensor<1x3xf32>
}

// CHECK-LABEL: func.func @reverse_of_reverse(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %0 = hlt.reverse %x <axes = [0]> : tensor<2x3xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x3xf32>
// CHECK-NEXT:  }
func.func @reverse_of_reverse(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = hlt.reverse %x <axes = [0, 1]> : tensor<2x3xf32>
  %1 = hlt.reverse %0 <axes = [1]> : tensor<2x3xf32>
  func.return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @pad_of_pad(%x: tensor<2xf32>) -> tensor<7xf32> {
// CHECK-NEXT:    %0 = hlt.pad %x <low = [3], high = [2], mode = "constant", value = 3.0> : (tensor<2xf32>) -> tensor<7xf32>
// CHECK-NEXT:    func.return %0 : tensor<7xf32>
// CHECK-NEXT:  }
func.func @pad_of_pad(%x: tensor<2xf32>) -> tensor<7xf32> {
  %0 = hlt.pad %x <low = [1], high = [0], mode = "constant", value = 3.0> : (tensor<2xf32>) -> tensor<3xf32>
  %1 = hlt.pad %0 <low = [2], high = [2], mode = "constant", value = 3.0> : (tensor<3xf32>) -> tensor<7xf32>
  func.return %1 : tensor<7xf32>
}

// Two borders of different zeros stay two.
// CHECK-LABEL: func.func @pad_of_another_pad(%x: tensor<2xf32>) -> tensor<5xf32> {
// CHECK-NEXT:    %0 = hlt.pad %x <low = [1], high = [0], mode = "constant", value = 0.0> : (tensor<2xf32>) -> tensor<3xf32>
// CHECK-NEXT:    %1 = hlt.pad %0 <low = [1], high = [1], mode = "constant", value = -0.0> : (tensor<3xf32>) -> tensor<5xf32>
// CHECK-NEXT:    func.return %1 : tensor<5xf32>
// CHECK-NEXT:  }
func.func @pad_of_another_pad(%x: tensor<2xf32>) -> tensor<5xf32> {
  %0 = hlt.pad %x <low = [1], high = [0], mode = "constant", value = 0.0> : (tensor<2xf32>) -> tensor<3xf32>
  %1 = hlt.pad %0 <low = [1], high = [1], mode = "constant", value = -0.0> : (tensor<3xf32>) -> tensor<5xf32>
  func.return %1 : tensor<5xf32>
}

// CHECK-LABEL: func.func @pad_of_splat() -> tensor<4xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<1.500000e+00> : tensor<4xf32>
// CHECK-NEXT:    func.return %0 : tensor<4xf32>
// CHECK-NEXT:  }
func.func @pad_of_splat() -> tensor<4xf32> {
  %0 = hlt.constant dense<1.5> : tensor<2xf32>
  %1 = hlt.pad %0 <low = [1], high = [1], mode = "constant", value = 1.5> : (tensor<2xf32>) -> tensor<4xf32>
  func.return %1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @concat_of_one(%x: tensor<2xf32>, %y: tensor<0xf32>) -> tensor<2xf32> {
// CHECK-NEXT:    func.return %x : tensor<2xf32>
// CHECK-NEXT:  }
func.func @concat_of_one(%x: tensor<2xf32>, %y: tensor<0xf32>) -> tensor<2xf32> {
  %0 = hlt.concat %y, %x <axis = 0> : (tensor<0xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return %0 : tensor<2xf32>
}

// CHECK-LABEL: func.func @concat_of_concat(%x: tensor<2xf32>, %y: tensor<3xf32>) -> tensor<7xf32> {
// CHECK-NEXT:    %0 = hlt.concat %x, %y, %x <axis = 0> : (tensor<2xf32>, tensor<3xf32>, tensor<2xf32>) -> tensor<7xf32>
// CHECK-NEXT:    func.return %0 : tensor<7xf32>
// CHECK-NEXT:  }
func.func @concat_of_concat(%x: tensor<2xf32>, %y: tensor<3xf32>) -> tensor<7xf32> {
  %0 = hlt.concat %x, %y <axis = 0> : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  %1 = hlt.concat %0, %x <axis = 0> : (tensor<5xf32>, tensor<2xf32>) -> tensor<7xf32>
  func.return %1 : tensor<7xf32>
}

// CHECK-LABEL: func.func @concat_of_splats() -> tensor<5xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<0.000000e+00> : tensor<5xf32>
// CHECK-NEXT:    func.return %0 : tensor<5xf32>
// CHECK-NEXT:  }
func.func @concat_of_splats() -> tensor<5xf32> {
  %0 = hlt.constant dense<0.0> : tensor<2xf32>
  %1 = hlt.constant dense<0.0> : tensor<3xf32>
  %2 = hlt.concat %0, %1 <axis = 0> : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  func.return %2 : tensor<5xf32>
}

// CHECK-LABEL: func.func @concat_of_slices(%x: tensor<9xf32>) -> tensor<5xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [1], sizes = [5], strides = [1]> : (tensor<9xf32>) -> tensor<5xf32>
// CHECK-NEXT:    func.return %0 : tensor<5xf32>
// CHECK-NEXT:  }
func.func @concat_of_slices(%x: tensor<9xf32>) -> tensor<5xf32> {
  %0 = hlt.slice %x <starts = [1], sizes = [2], strides = [1]> : (tensor<9xf32>) -> tensor<2xf32>
  %1 = hlt.slice %x <starts = [3], sizes = [3], strides = [1]> : (tensor<9xf32>) -> tensor<3xf32>
  %2 = hlt.concat %0, %1 <axis = 0> : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  func.return %2 : tensor<5xf32>
}

// Slices in another order are put together.
// CHECK-LABEL: func.func @concat_of_slices_the_other_way(%x: tensor<9xf32>) -> tensor<5xf32> {
// CHECK-NEXT:    %0 = hlt.slice %x <starts = [1], sizes = [2], strides = [1]> : (tensor<9xf32>) -> tensor<2xf32>
// CHECK-NEXT:    %1 = hlt.slice %x <starts = [3], sizes = [3], strides = [1]> : (tensor<9xf32>) -> tensor<3xf32>
// CHECK-NEXT:    %2 = hlt.concat %1, %0 <axis = 0> : (tensor<3xf32>, tensor<2xf32>) -> tensor<5xf32>
// CHECK-NEXT:    func.return %2 : tensor<5xf32>
// CHECK-NEXT:  }
func.func @concat_of_slices_the_other_way(%x: tensor<9xf32>) -> tensor<5xf32> {
  %0 = hlt.slice %x <starts = [1], sizes = [2], strides = [1]> : (tensor<9xf32>) -> tensor<2xf32>
  %1 = hlt.slice %x <starts = [3], sizes = [3], strides = [1]> : (tensor<9xf32>) -> tensor<3xf32>
  %2 = hlt.concat %1, %0 <axis = 0> : (tensor<3xf32>, tensor<2xf32>) -> tensor<5xf32>
  func.return %2 : tensor<5xf32>
}
