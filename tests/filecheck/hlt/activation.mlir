// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Activation functions.

// CHECK-LABEL: func.func @sigmoid(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sigmoid %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sigmoid(%a: tensor<2x3xf32>) {
  %r = hlt.sigmoid %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @gelu(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.gelu %a <approximate = "tanh"> : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @gelu(%a: tensor<2x3xf32>) {
  %r = hlt.gelu %a <approximate = "tanh"> : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @softmax(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.softmax %a <axis = 1, log = false, safe = false> : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @softmax(%a: tensor<2x3xf32>) {
  %r = hlt.softmax %a <axis = 1, log = false, safe = false> : tensor<2x3xf32>
  func.return
}
