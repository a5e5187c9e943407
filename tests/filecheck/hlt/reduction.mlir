// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Reductions, windows, scans and orders.

// CHECK-LABEL: func.func @reduce(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.reduce %a <kind = "sum", axes = [1], keep_dims = false> : (tensor<2x3xf32>) -> tensor<2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reduce(%a: tensor<2x3xf32>) {
  %r = hlt.reduce %a <kind = "sum", axes = [1], keep_dims = false> : (tensor<2x3xf32>) -> tensor<2xf32>
  func.return
}

// CHECK-LABEL: func.func @arg_reduce(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.arg_reduce %a <kind = "max", axis = 1, keep_dims = false, last_index = false> : (tensor<2x3xf32>) -> tensor<2xi64>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @arg_reduce(%a: tensor<2x3xf32>) {
  %r = hlt.arg_reduce %a <kind = "max", axis = 1, keep_dims = false, last_index = false> : (tensor<2x3xf32>) -> tensor<2xi64>
  func.return
}

// CHECK-LABEL: func.func @reduce_window(%a: tensor<1x3x4x4xf32>) {
// CHECK-NEXT:    %r = hlt.reduce_window %a <kind = "max", window = [1, 1, 2, 2], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reduce_window(%a: tensor<1x3x4x4xf32>) {
  %r = hlt.reduce_window %a <kind = "max", window = [1, 1, 2, 2], strides = [1, 1, 2, 2], dilations = [1, 1, 1, 1], pads_low = [0, 0, 0, 0], pads_high = [0, 0, 0, 0], overhang = [0, 0, 0, 0], count_include_pad = false> : (tensor<1x3x4x4xf32>) -> tensor<1x3x2x2xf32>
  func.return
}

// CHECK-LABEL: func.func @scan(%a: tensor<4xf32>) {
// CHECK-NEXT:    %r = hlt.scan %a <kind = "sum", axis = 0, exclusive = false, reverse = false> : tensor<4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @scan(%a: tensor<4xf32>) {
  %r = hlt.scan %a <kind = "sum", axis = 0, exclusive = false, reverse = false> : tensor<4xf32>
  func.return
}

// CHECK-LABEL: func.func @sort(%a: tensor<4xf32>) {
// CHECK-NEXT:    %r, %s = hlt.sort %a <axis = 0, descending = false> : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi64>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sort(%a: tensor<4xf32>) {
  %r, %s = hlt.sort %a <axis = 0, descending = false> : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi64>)
  func.return
}

// CHECK-LABEL: func.func @top_k(%a: tensor<4xf32>) {
// CHECK-NEXT:    %r, %s = hlt.top_k %a <k = 2, axis = 0, largest = true, sorted = true> : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @top_k(%a: tensor<4xf32>) {
  %r, %s = hlt.top_k %a <k = 2, axis = 0, largest = true, sorted = true> : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  func.return
}
