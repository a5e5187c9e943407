// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Fusions: names inside are their own.

// CHECK-LABEL: func.func @fusion(%a: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %r = hlt.fusion(%x = %a : tensor<2x3xf32>, %y = %b : tensor<3xf32>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %0 = hlt.broadcast %y <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
// CHECK-NEXT:      %1 = hlt.add %x, %0 : tensor<2x3xf32>
// CHECK-NEXT:      hlt.yield %1 : tensor<2x3xf32>
// CHECK-NEXT:    } {hlt.node = "sum"}
// CHECK-NEXT:    func.return %r : tensor<2x3xf32>
func.func @fusion(%a: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
  %r = hlt.fusion(%x = %a : tensor<2x3xf32>, %y = %b : tensor<3xf32>) -> (tensor<2x3xf32>) {
    %0 = hlt.broadcast %y <shape = [2, 3], dims = [1]> : (tensor<3xf32>) -> tensor<2x3xf32>
    %1 = hlt.add %x, %0 : tensor<2x3xf32>
    hlt.yield %1 : tensor<2x3xf32>
  } {hlt.node = "sum"}
  func.return %r : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @no_operand_and_two_results() -> (tensor<2xi32>, tensor<2xi32>) {
// CHECK-NEXT:    %a, %b = hlt.fusion() -> (tensor<2xi32>, tensor<2xi32>) {
// CHECK-NEXT:      %i = hlt.iota <shape = [2], axis = 0, dtype = i32> : tensor<2xi32>
// CHECK-NEXT:      hlt.yield %i, %i : tensor<2xi32>, tensor<2xi32>
// CHECK-NEXT:    }
func.func @no_operand_and_two_results() -> (tensor<2xi32>, tensor<2xi32>) {
  %a, %b = hlt.fusion() -> (tensor<2xi32>, tensor<2xi32>) {
    %i = hlt.iota <shape = [2], axis = 0, dtype = i32> : tensor<2xi32>
    hlt.yield %i, %i : tensor<2xi32>, tensor<2xi32>
  }
  func.return %a, %b : tensor<2xi32>, tensor<2xi32>
}
