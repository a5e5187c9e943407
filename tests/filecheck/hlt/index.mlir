// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Gathers and scatters.

// CHECK-LABEL: func.func @gather(%a: tensor<9x4xf32>, %b: tensor<2x3xi64>) {
// CHECK-NEXT:    %r = hlt.gather %a, %b <axis = 0> : (tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @gather(%a: tensor<9x4xf32>, %b: tensor<2x3xi64>) {
  %r = hlt.gather %a, %b <axis = 0> : (tensor<9x4xf32>, tensor<2x3xi64>) -> tensor<2x3x4xf32>
  func.return
}

// CHECK-LABEL: func.func @gather_elements(%a: tensor<2x9xf32>, %b: tensor<2x3xi64>) {
// CHECK-NEXT:    %r = hlt.gather_elements %a, %b <axis = 1> : (tensor<2x9xf32>, tensor<2x3xi64>) -> tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @gather_elements(%a: tensor<2x9xf32>, %b: tensor<2x3xi64>) {
  %r = hlt.gather_elements %a, %b <axis = 1> : (tensor<2x9xf32>, tensor<2x3xi64>) -> tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @gather_nd(%a: tensor<4x5x6xf32>, %b: tensor<3x2xi64>) {
// CHECK-NEXT:    %r = hlt.gather_nd %a, %b <batch_dims = 0> : (tensor<4x5x6xf32>, tensor<3x2xi64>) -> tensor<3x6xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @gather_nd(%a: tensor<4x5x6xf32>, %b: tensor<3x2xi64>) {
  %r = hlt.gather_nd %a, %b <batch_dims = 0> : (tensor<4x5x6xf32>, tensor<3x2xi64>) -> tensor<3x6xf32>
  func.return
}

// CHECK-LABEL: func.func @scatter_elements(%a: tensor<2x9xf32>, %b: tensor<2x3xi64>, %c: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.scatter_elements %a, %b, %c <reduction = "add", axis = 1> : (tensor<2x9xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<2x9xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @scatter_elements(%a: tensor<2x9xf32>, %b: tensor<2x3xi64>, %c: tensor<2x3xf32>) {
  %r = hlt.scatter_elements %a, %b, %c <reduction = "add", axis = 1> : (tensor<2x9xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<2x9xf32>
  func.return
}

// CHECK-LABEL: func.func @scatter_nd(%a: tensor<4x5xf32>, %b: tensor<3x1xi64>, %c: tensor<3x5xf32>) {
// CHECK-NEXT:    %r = hlt.scatter_nd %a, %b, %c <reduction = "none"> : (tensor<4x5xf32>, tensor<3x1xi64>, tensor<3x5xf32>) -> tensor<4x5xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @scatter_nd(%a: tensor<4x5xf32>, %b: tensor<3x1xi64>, %c: tensor<3x5xf32>) {
  %r = hlt.scatter_nd %a, %b, %c <reduction = "none"> : (tensor<4x5xf32>, tensor<3x1xi64>, tensor<3x5xf32>) -> tensor<4x5xf32>
  func.return
}

// CHECK-LABEL: func.func @update_slice(%a: tensor<2x9xf32>, %b: tensor<2x3xf32>, %c: tensor<i64>) {
// CHECK-NEXT:    %r = hlt.update_slice %a, %b, %c <axis = 1> : (tensor<2x9xf32>, tensor<2x3xf32>, tensor<i64>) -> tensor<2x9xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @update_slice(%a: tensor<2x9xf32>, %b: tensor<2x3xf32>, %c: tensor<i64>) {
  %r = hlt.update_slice %a, %b, %c <axis = 1> : (tensor<2x9xf32>, tensor<2x3xf32>, tensor<i64>) -> tensor<2x9xf32>
  func.return
}
