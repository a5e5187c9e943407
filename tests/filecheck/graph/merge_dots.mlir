// RUN: mlc opt %s -p merge-dots --verify-each | filecheck %s

// Products of one tensor with several constant matrices are one.

// CHECK-LABEL: func.func @queries_and_keys(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x1xf32>) {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT:    %1 = hlt.constant dense<{{\[\[}}5.000000e+00], [6.000000e+00]]> : tensor<2x1xf32>
// CHECK-NEXT:    %2 = hlt.constant dense<[7.000000e+00, 8.000000e+00]> : tensor<2xf32>
// CHECK-NEXT:    %3 = hlt.constant dense<9.000000e+00> : tensor<1xf32>
// CHECK-NEXT:    %4 = hlt.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00, 5.000000e+00], [3.000000e+00, 4.000000e+00, 6.000000e+00]]> : tensor<2x3xf32>
// CHECK-NEXT:    %5 = hlt.dot_general %x, %4 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x3xf32>) -> tensor<3x3xf32>
// CHECK-NEXT:    %6 = hlt.constant dense<[7.000000e+00, 8.000000e+00, 9.000000e+00]> : tensor<3xf32>
// CHECK-NEXT:    %7 = hlt.broadcast %6 <shape = [3, 3], dims = [1]> : (tensor<3xf32>) -> tensor<3x3xf32>
// CHECK-NEXT:    %8 = hlt.add %5, %7 : tensor<3x3xf32>
// CHECK-NEXT:    %9 = hlt.slice %8 <starts = [0, 0], sizes = [3, 2], strides = [1, 1]> : (tensor<3x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %10 = hlt.slice %8 <starts = [0, 2], sizes = [3, 1], strides = [1, 1]> : (tensor<3x3xf32>) -> tensor<3x1xf32>
// CHECK-NEXT:    %11 = hlt.broadcast %2 <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %12 = hlt.broadcast %3 <shape = [3, 1], dims = [1]> : (tensor<1xf32>) -> tensor<3x1xf32>
// CHECK-NEXT:    %13 = hlt.softmax %9 <axis = 1, log = false, safe = false> : tensor<3x2xf32>
// CHECK-NEXT:    %14 = hlt.softmax %10 <axis = 0, log = false, safe = false> : tensor<3x1xf32>
// CHECK-NEXT:    func.return %13, %14 : tensor<3x2xf32>, tensor<3x1xf32>
// CHECK-NEXT:  }
func.func @queries_and_keys(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x1xf32>) {
  %0 = hlt.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %1 = hlt.constant dense<[[5.0], [6.0]]> : tensor<2x1xf32>
  %2 = hlt.constant dense<[7.0, 8.0]> : tensor<2xf32>
  %3 = hlt.constant dense<[9.0]> : tensor<1xf32>
  %4 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  %5 = hlt.broadcast %2 <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
  %6 = hlt.add %4, %5 : tensor<3x2xf32>
  %7 = hlt.dot_general %x, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
  %8 = hlt.broadcast %3 <shape = [3, 1], dims = [1]> : (tensor<1xf32>) -> tensor<3x1xf32>
  %9 = hlt.add %8, %7 : tensor<3x1xf32>
  %10 = hlt.softmax %6 <axis = 1, log = false, safe = false> : tensor<3x2xf32>
  %11 = hlt.softmax %9 <axis = 0, log = false, safe = false> : tensor<3x1xf32>
  func.return %10, %11 : tensor<3x2xf32>, tensor<3x1xf32>
}

// Cut out of a common result, what is returned would have to be copied.
// CHECK-LABEL: func.func @returned(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x1xf32>) {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT:    %1 = hlt.constant dense<{{\[\[}}5.000000e+00], [6.000000e+00]]> : tensor<2x1xf32>
// CHECK-NEXT:    %2 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %3 = hlt.dot_general %x, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
// CHECK-NEXT:    func.return %2, %3 : tensor<3x2xf32>, tensor<3x1xf32>
// CHECK-NEXT:  }
func.func @returned(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x1xf32>) {
  %0 = hlt.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %1 = hlt.constant dense<[[5.0], [6.0]]> : tensor<2x1xf32>
  %2 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  %3 = hlt.dot_general %x, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
  func.return %2, %3 : tensor<3x2xf32>, tensor<3x1xf32>
}

// An element-wise operation is better off as the epilogue of each product.
// CHECK-LABEL: func.func @gated(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT:    %1 = hlt.constant dense<{{\[\[}}5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT:    %2 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %3 = hlt.dot_general %x, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
// CHECK-NEXT:    %4 = hlt.mul %2, %3 : tensor<3x2xf32>
// CHECK-NEXT:    func.return %4 : tensor<3x2xf32>
// CHECK-NEXT:  }
func.func @gated(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %0 = hlt.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %1 = hlt.constant dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>
  %2 = hlt.dot_general %x, %0 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  %3 = hlt.dot_general %x, %1 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  %4 = hlt.mul %2, %3 : tensor<3x2xf32>
  func.return %4 : tensor<3x2xf32>
}
