// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Data movement.

// CHECK-LABEL: func.func @broadcast(%a: tensor<2x1xf32>) {
// CHECK-NEXT:    %r = hlt.broadcast %a <shape = [2, 3, 4], dims = [0, 2]> : (tensor<2x1xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @broadcast(%a: tensor<2x1xf32>) {
  %r = hlt.broadcast %a <shape = [2, 3, 4], dims = [0, 2]> : (tensor<2x1xf32>) -> tensor<2x3x4xf32>
  func.return
}

// CHECK-LABEL: func.func @reshape(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.reshape %a <shape = [3, 2]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reshape(%a: tensor<2x3xf32>) {
  %r = hlt.reshape %a <shape = [3, 2]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  func.return
}

// CHECK-LABEL: func.func @transpose(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.transpose %a <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @transpose(%a: tensor<2x3xf32>) {
  %r = hlt.transpose %a <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
  func.return
}

// CHECK-LABEL: func.func @slice(%a: tensor<5xf32>) {
// CHECK-NEXT:    %r = hlt.slice %a <starts = [1], sizes = [2], strides = [2]> : (tensor<5xf32>) -> tensor<2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @slice(%a: tensor<5xf32>) {
  %r = hlt.slice %a <starts = [1], sizes = [2], strides = [2]> : (tensor<5xf32>) -> tensor<2xf32>
  func.return
}

// CHECK-LABEL: func.func @reverse(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.reverse %a <axes = [0]> : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reverse(%a: tensor<2x3xf32>) {
  %r = hlt.reverse %a <axes = [0]> : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @pad(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.pad %a <low = [1], high = [0], mode = "constant", value = 0.0> : (tensor<2xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @pad(%a: tensor<2xf32>) {
  %r = hlt.pad %a <low = [1], high = [0], mode = "constant", value = 0.0> : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// CHECK-LABEL: func.func @concat(%a: tensor<2x3xf32>, %b: tensor<1x3xf32>) {
// CHECK-NEXT:    %r = hlt.concat %a, %b <axis = 0> : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<3x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @concat(%a: tensor<2x3xf32>, %b: tensor<1x3xf32>) {
  %r = hlt.concat %a, %b <axis = 0> : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<3x3xf32>
  func.return
}

// CHECK-LABEL: func.func @iota() {
// CHECK-NEXT:    %r = hlt.iota <shape = [2, 3], axis = 1, dtype = i64> : tensor<2x3xi64>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @iota() {
  %r = hlt.iota <shape = [2, 3], axis = 1, dtype = i64> : tensor<2x3xi64>
  func.return
}

// CHECK-LABEL: func.func @pad_2(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.pad %a <low = [0], high = [1], mode = "constant", value = -inf> : (tensor<2xf32>) -> tensor<3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @pad_2(%a: tensor<2xf32>) {
  %r = hlt.pad %a <low = [0], high = [1], mode = "constant", value = -inf> : (tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// CHECK-LABEL: func.func @reverse_3(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.reverse %a <axes = []> : tensor<2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reverse_3(%a: tensor<2xf32>) {
  %r = hlt.reverse %a <axes = []> : tensor<2xf32>
  func.return
}
