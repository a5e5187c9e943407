// RUN: mlc opt %s -p fold-constants --verify-each | filecheck %s

// Operations on constants become constants.

// A splat stays one, whatever its shape.
// CHECK-LABEL: func.func @splats() -> tensor<100x100xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<2.000000e+00> : tensor<100x100xf32>
// CHECK-NEXT:    func.return %0 : tensor<100x100xf32>
// CHECK-NEXT:  }
func.func @splats() -> tensor<100x100xf32> {
  %0 = hlt.constant dense<2.0> : tensor<100xf32>
  %1 = hlt.broadcast %0 <shape = [100, 100], dims = [1]> : (tensor<100xf32>) -> tensor<100x100xf32>
  %2 = hlt.mul %1, %1 : tensor<100x100xf32>
  %3 = hlt.sqrt %2 : tensor<100x100xf32>
  func.return %3 : tensor<100x100xf32>
}

// CHECK-LABEL: func.func @small_results_stand_in_place() -> tensor<2x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[}}7.000000e+00, 1.000000e+01], [1.500000e+01, 2.200000e+01]]> : tensor<2x2xf32>
// CHECK-NEXT:    func.return %0 : tensor<2x2xf32>
// CHECK-NEXT:  }
func.func @small_results_stand_in_place() -> tensor<2x2xf32> {
  %0 = hlt.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %1 = hlt.dot_general %0, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : tensor<2x2xf32>
  func.return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: func.func @large_results_are_weights() -> tensor<5x4xf32> {
// CHECK-NEXT:    %0 = hlt.constant #mlc.weight<"constant~dot_general.{{[0-9a-f]+}}", "{{[0-9a-f]+}}"> : tensor<5x4xf32>
// CHECK-NEXT:    func.return %0 : tensor<5x4xf32>
// CHECK-NEXT:  }
func.func @large_results_are_weights() -> tensor<5x4xf32> {
  %0 = hlt.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %1 = hlt.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0]> : tensor<5xf32>
  %2 = hlt.dot_general %1, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [], rhs_contract = []> : (tensor<5xf32>, tensor<4xf32>) -> tensor<5x4xf32>
  func.return %2 : tensor<5x4xf32>
}

// A broadcast is not expanded, but what is computed of it is.
// CHECK-LABEL: func.func @through_broadcasts() -> (tensor<8x4xi32>, tensor<4x4xi1>) {
// CHECK-NEXT:    %0 = hlt.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
// CHECK-NEXT:    %1 = hlt.broadcast %0 <shape = [8, 4], dims = [1]> : (tensor<4xi32>) -> tensor<8x4xi32>
// CHECK-NEXT:    %2 = hlt.constant dense<{{\[\[}}true, false, false, false], [true, true, false, false], [true, true, true, false], [true, true, true, true]]> : tensor<4x4xi1>
// CHECK-NEXT:    func.return %1, %2 : tensor<8x4xi32>, tensor<4x4xi1>
// CHECK-NEXT:  }
func.func @through_broadcasts() -> (tensor<8x4xi32>, tensor<4x4xi1>) {
  %0 = hlt.constant dense<[1, 2, 3, 4]> : tensor<4xi32>
  %1 = hlt.broadcast %0 <shape = [8, 4], dims = [1]> : (tensor<4xi32>) -> tensor<8x4xi32>
  %2 = hlt.iota <shape = [4, 4], axis = 0, dtype = i32> : tensor<4x4xi32>
  %3 = hlt.iota <shape = [4, 4], axis = 1, dtype = i32> : tensor<4x4xi32>
  %4 = hlt.compare %2, %3 <predicate = "ge"> : (tensor<4x4xi32>, tensor<4x4xi32>) -> tensor<4x4xi1>
  func.return %1, %4 : tensor<8x4xi32>, tensor<4x4xi1>
}

// Not without the numbers.
// CHECK-LABEL: func.func @unknown_weights() -> tensor<4x5xf32> {
// CHECK-NEXT:    %0 = hlt.constant #mlc.weight<"w", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"> : tensor<5x4xf32>
// CHECK-NEXT:    %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<5x4xf32>) -> tensor<4x5xf32>
// CHECK-NEXT:    func.return %1 : tensor<4x5xf32>
// CHECK-NEXT:  }
func.func @unknown_weights() -> tensor<4x5xf32> {
  %0 = hlt.constant #mlc.weight<"w", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"> : tensor<5x4xf32>
  %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<5x4xf32>) -> tensor<4x5xf32>
  func.return %1 : tensor<4x5xf32>
}

// CHECK-LABEL: func.func @bad_indices_stay() -> tensor<f32> {
// CHECK-NEXT:    %0 = hlt.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-NEXT:    %1 = hlt.constant dense<7> : tensor<i64>
// CHECK-NEXT:    %2 = hlt.gather %0, %1 <axis = 0> : (tensor<2xf32>, tensor<i64>) -> tensor<f32>
// CHECK-NEXT:    func.return %2 : tensor<f32>
// CHECK-NEXT:  }
func.func @bad_indices_stay() -> tensor<f32> {
  %0 = hlt.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %1 = hlt.constant dense<7> : tensor<i64>
  %2 = hlt.gather %0, %1 <axis = 0> : (tensor<2xf32>, tensor<i64>) -> tensor<f32>
  func.return %2 : tensor<f32>
}
