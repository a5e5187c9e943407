// RUN: mlc opt %s -p recognize-composites --verify-each | filecheck %s

// Composite operations that exporters spell out; every spelling is in tests/property/test_composites.py.

// CHECK-LABEL: func.func @layer_norm(%x: tensor<2x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<2x8xf32> {
// CHECK-NEXT:    %0 = hlt.layer_norm %x, scale = %s, bias = %b <axis = 1, epsilon = 0.5> : (tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x8xf32>
// CHECK-NEXT:  }
func.func @layer_norm(%x: tensor<2x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<2x8xf32> {
  %0 = hlt.reduce %x <kind = "mean", axes = [1], keep_dims = true> : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %1 = hlt.broadcast %0 <shape = [2, 8], dims = [0, 1]> : (tensor<2x1xf32>) -> tensor<2x8xf32>
  %2 = hlt.sub %x, %1 : tensor<2x8xf32>
  %3 = hlt.mul %2, %2 : tensor<2x8xf32>
  %4 = hlt.reduce %3 <kind = "mean", axes = [1], keep_dims = true> : (tensor<2x8xf32>) -> tensor<2x1xf32>
  %5 = hlt.constant dense<0.5> : tensor<2x1xf32>
  %6 = hlt.add %4, %5 : tensor<2x1xf32>
  %7 = hlt.sqrt %6 : tensor<2x1xf32>
  %8 = hlt.broadcast %7 <shape = [2, 8], dims = [0, 1]> : (tensor<2x1xf32>) -> tensor<2x8xf32>
  %9 = hlt.div %2, %8 : tensor<2x8xf32>
  %10 = hlt.broadcast %s <shape = [2, 8], dims = [1]> : (tensor<8xf32>) -> tensor<2x8xf32>
  %11 = hlt.mul %9, %10 : tensor<2x8xf32>
  %12 = hlt.broadcast %b <shape = [2, 8], dims = [1]> : (tensor<8xf32>) -> tensor<2x8xf32>
  %13 = hlt.add %11, %12 : tensor<2x8xf32>
  func.return %13 : tensor<2x8xf32>
}

// CHECK-LABEL: func.func @gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %0 = hlt.gelu %x <approximate = "none"> : tensor<4xf32>
// CHECK-NEXT:    func.return %0 : tensor<4xf32>
// CHECK-NEXT:  }
func.func @gelu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = hlt.constant dense<1.41421354> : tensor<4xf32>
  %1 = hlt.div %x, %0 : tensor<4xf32>
  %2 = hlt.erf %1 : tensor<4xf32>
  %3 = hlt.constant dense<1.0> : tensor<4xf32>
  %4 = hlt.add %2, %3 : tensor<4xf32>
  %5 = hlt.mul %x, %4 : tensor<4xf32>
  %6 = hlt.constant dense<0.5> : tensor<4xf32>
  %7 = hlt.mul %5, %6 : tensor<4xf32>
  func.return %7 : tensor<4xf32>
}

// CHECK-LABEL: func.func @attention(%q: tensor<1x2x5x4xf32>, %k: tensor<1x2x4x7xf32>, %v: tensor<1x2x7x4xf32>, %m: tensor<7xf32>) -> tensor<1x2x5x4xf32> {
// CHECK-NEXT:    %0 = hlt.transpose %k <permutation = [0, 1, 3, 2]> : (tensor<1x2x4x7xf32>) -> tensor<1x2x7x4xf32>
// CHECK-NEXT:    %1 = hlt.reshape %m <shape = [1, 1, 1, 7]> : (tensor<7xf32>) -> tensor<1x1x1x7xf32>
// CHECK-NEXT:    %2 = hlt.attention %q, %0, %v, mask = %1 <scale = 0.5, causal = false> : (tensor<1x2x5x4xf32>, tensor<1x2x7x4xf32>, tensor<1x2x7x4xf32>, tensor<1x1x1x7xf32>) -> tensor<1x2x5x4xf32>
// CHECK-NEXT:    func.return %2 : tensor<1x2x5x4xf32>
// CHECK-NEXT:  }
func.func @attention(%q: tensor<1x2x5x4xf32>, %k: tensor<1x2x4x7xf32>, %v: tensor<1x2x7x4xf32>, %m: tensor<7xf32>) -> tensor<1x2x5x4xf32> {
  %0 = hlt.dot_general %q, %k <lhs_batch = [0, 1], rhs_batch = [0, 1], lhs_contract = [3], rhs_contract = [2]> : (tensor<1x2x5x4xf32>, tensor<1x2x4x7xf32>) -> tensor<1x2x5x7xf32>
  %1 = hlt.constant dense<0.5> : tensor<1x2x5x7xf32>
  %2 = hlt.mul %0, %1 : tensor<1x2x5x7xf32>
  %3 = hlt.broadcast %m <shape = [1, 2, 5, 7], dims = [3]> : (tensor<7xf32>) -> tensor<1x2x5x7xf32>
  %4 = hlt.add %2, %3 : tensor<1x2x5x7xf32>
  %5 = hlt.softmax %4 <axis = 3, log = false, safe = false> : tensor<1x2x5x7xf32>
  %6 = hlt.dot_general %5, %v <lhs_batch = [0, 1], rhs_batch = [0, 1], lhs_contract = [3], rhs_contract = [2]> : (tensor<1x2x5x7xf32>, tensor<1x2x7x4xf32>) -> tensor<1x2x5x4xf32>
  func.return %6 : tensor<1x2x5x4xf32>
}

// Selections of -inf hide keys; each is repeated no more than it was, and the queries' factor joins the scale.

// CHECK-LABEL: func.func @attention_over_some_keys(%q: tensor<1x2x5x4xf32>, %k: tensor<1x2x7x4xf32>, %v: tensor<1x2x7x4xf32>, %m: tensor<7xf32>, %inside: tensor<7xi1>, %later: tensor<5x7xi1>) -> tensor<1x2x5x4xf32> {
// CHECK-NEXT:    %0 = hlt.reshape %m <shape = [1, 1, 1, 7]> : (tensor<7xf32>) -> tensor<1x1x1x7xf32>
// CHECK-NEXT:    %1 = hlt.reshape %later <shape = [1, 1, 5, 7]> : (tensor<5x7xi1>) -> tensor<1x1x5x7xi1>
// CHECK-NEXT:    %2 = hlt.not %1 : tensor<1x1x5x7xi1>
// CHECK-NEXT:    %3 = hlt.broadcast %inside <shape = [1, 1, 5, 7], dims = [3]> : (tensor<7xi1>) -> tensor<1x1x5x7xi1>
// CHECK-NEXT:    %4 = hlt.and %2, %3 : tensor<1x1x5x7xi1>
// CHECK-NEXT:    %5 = hlt.attention %q, %k, %v, mask = %0, visible = %4 <scale = 0.5, causal = false>
// CHECK-NEXT:    func.return %5 : tensor<1x2x5x4xf32>
// CHECK-NEXT:  }
func.func @attention_over_some_keys(%q: tensor<1x2x5x4xf32>, %k: tensor<1x2x7x4xf32>, %v: tensor<1x2x7x4xf32>, %m: tensor<7xf32>, %inside: tensor<7xi1>, %later: tensor<5x7xi1>) -> tensor<1x2x5x4xf32> {
  %0 = hlt.constant dense<0.5> : tensor<1x2x5x4xf32>
  %1 = hlt.mul %q, %0 : tensor<1x2x5x4xf32>
  %2 = hlt.dot_general %1, %k <lhs_batch = [0, 1], rhs_batch = [0, 1], lhs_contract = [3], rhs_contract = [3]> : (tensor<1x2x5x4xf32>, tensor<1x2x7x4xf32>) -> tensor<1x2x5x7xf32>
  %3 = hlt.broadcast %m <shape = [1, 2, 5, 7], dims = [3]> : (tensor<7xf32>) -> tensor<1x2x5x7xf32>
  %4 = hlt.add %3, %2 : tensor<1x2x5x7xf32>
  %5 = hlt.constant dense<"0x000080FF"> : tensor<1x2x5x7xf32>
  %6 = hlt.broadcast %later <shape = [1, 2, 5, 7], dims = [2, 3]> : (tensor<5x7xi1>) -> tensor<1x2x5x7xi1>
  %7 = hlt.select %6, %5, %4 : (tensor<1x2x5x7xi1>, tensor<1x2x5x7xf32>, tensor<1x2x5x7xf32>) -> tensor<1x2x5x7xf32>
  %8 = hlt.broadcast %inside <shape = [1, 2, 5, 7], dims = [3]> : (tensor<7xi1>) -> tensor<1x2x5x7xi1>
  %9 = hlt.select %8, %7, %5 : (tensor<1x2x5x7xi1>, tensor<1x2x5x7xf32>, tensor<1x2x5x7xf32>) -> tensor<1x2x5x7xf32>
  %10 = hlt.softmax %9 <axis = 3, log = false, safe = false> : tensor<1x2x5x7xf32>
  %11 = hlt.dot_general %10, %v <lhs_batch = [0, 1], rhs_batch = [0, 1], lhs_contract = [3], rhs_contract = [2]> : (tensor<1x2x5x7xf32>, tensor<1x2x7x4xf32>) -> tensor<1x2x5x4xf32>
  func.return %11 : tensor<1x2x5x4xf32>
}
