// RUN: mlc opt %s -p 'group' --verify-each | filecheck %s

// In a program with bounded dims, a mask between a product and a reader that can apply it as it reads goes there: nothing
// beyond the extent has to be computed then. Where the reader can't, the mask stays with what is computed before it.

builtin.module attributes {mlc.bounds = "{\"dims\": [[\"seq\", 1, 8]], \"found\": [], \"inputs\": [[\"4\", \"4\"], [\"4\", \"seq\"], [\"seq\"]], \"outputs\": [[\"4\", \"seq\"], [\"4\", \"4\"]]}"} {

// CHECK-LABEL: func.func @main
// CHECK-NEXT:    %0 = hlt.fusion(%x_1 = %x : tensor<4x4xf32>, %y_1 = %y : tensor<4x8xf32>) -> (tensor<4x8xf32>) {
// CHECK-NEXT:      %1 = hlt.dot_general %x_1, %y_1
// CHECK-NEXT:      hlt.yield %1 : tensor<4x8xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = hlt.fusion(%c_1 = %c : tensor<8xi1>, %2 = %0 : tensor<4x8xf32>) -> (tensor<4x8xf32>) {
// CHECK-NEXT:      %3 = hlt.broadcast %c_1
// CHECK-NEXT:      %4 = hlt.constant dense<"0x000080FF"> : tensor<4x8xf32>
// CHECK-NEXT:      %5 = hlt.select %3, %2, %4
// CHECK-NEXT:      %6 = hlt.softmax %5
// CHECK-NEXT:      hlt.yield %6 : tensor<4x8xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = hlt.fusion(%c_1 = %c : tensor<8xi1>, %x_1 = %x : tensor<4x4xf32>, %y_1 = %y : tensor<4x8xf32>) -> (tensor<4x8xf32>) {
// CHECK-NEXT:      %3 = hlt.broadcast %c_1
// CHECK-NEXT:      %4 = hlt.dot_general %x_1, %y_1
// CHECK-NEXT:      %5 = hlt.constant dense<0.000000e+00> : tensor<4x8xf32>
// CHECK-NEXT:      %6 = hlt.select %3, %4, %5
// CHECK-NEXT:      hlt.yield %6 : tensor<4x8xf32>
// CHECK-NEXT:    }
// CHECK:           hlt.dot_general %{{.*}}, %y_1
// CHECK:         func.return %1, %3 : tensor<4x8xf32>, tensor<4x4xf32>
func.func @main(%x: tensor<4x4xf32>, %y: tensor<4x8xf32>, %c: tensor<8xi1>) -> (tensor<4x8xf32>, tensor<4x4xf32>) {
  %0 = hlt.broadcast %c <shape = [4, 8], dims = [1]> : (tensor<8xi1>) -> tensor<4x8xi1>
  %1 = hlt.dot_general %x, %y <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<4x4xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = hlt.constant dense<"0x000080FF"> : tensor<4x8xf32>
  %3 = hlt.select %0, %1, %2 : (tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = hlt.softmax %3 <axis = 1, log = false, safe = false> : tensor<4x8xf32>
  %5 = hlt.dot_general %x, %y <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<4x4xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %6 = hlt.constant dense<0.0> : tensor<4x8xf32>
  %7 = hlt.select %0, %5, %6 : (tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %8 = hlt.dot_general %7, %y <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]> : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x4xf32>
  func.return %4, %8 : tensor<4x8xf32>, tensor<4x4xf32>
}

}
