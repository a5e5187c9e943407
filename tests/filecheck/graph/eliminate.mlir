// RUN: mlc opt %s -p 'eliminate-common,eliminate-dead' --verify-each | filecheck %s

// What is computed twice, and what nothing uses.

// CHECK-LABEL: func.func @common(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
// CHECK-NEXT:    %0 = hlt.exp %x {hlt.node = "a"} : tensor<4xf32>
// CHECK-NEXT:    %1 = hlt.add %0, %0 : tensor<4xf32>
// CHECK-NEXT:    func.return %1, %1 : tensor<4xf32>, tensor<4xf32>
// CHECK-NEXT:  }
func.func @common(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = hlt.exp %x {hlt.node = "a"} : tensor<4xf32>
  %1 = hlt.exp %x {hlt.node = "b"} : tensor<4xf32>
  %2 = hlt.add %0, %1 : tensor<4xf32>
  %3 = hlt.add %1, %0 : tensor<4xf32>
  func.return %2, %3 : tensor<4xf32>, tensor<4xf32>
}

// Other attributes, another result.
// CHECK-LABEL: func.func @different(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
// CHECK-NEXT:    %0 = hlt.gelu %x <approximate = "none"> : tensor<4xf32>
// CHECK-NEXT:    %1 = hlt.gelu %x <approximate = "tanh"> : tensor<4xf32>
// CHECK-NEXT:    func.return %0, %1 : tensor<4xf32>, tensor<4xf32>
// CHECK-NEXT:  }
func.func @different(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = hlt.gelu %x <approximate = "none"> : tensor<4xf32>
  %1 = hlt.gelu %x <approximate = "tanh"> : tensor<4xf32>
  func.return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @dead(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @dead(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = hlt.exp %x : tensor<4xf32>
  %1 = hlt.add %0, %0 : tensor<4xf32>
  func.return %x : tensor<4xf32>
}
