// RUN: mlc opt %s -p hoist-invariants | filecheck %s

// What every iteration computes alike moves out, with what it is made of; through both loops where nothing holds it.
// CHECK:      %0 = hlt.exp %a
// CHECK-NEXT: %1 = hlt.broadcast %0
// CHECK-NEXT: %2 = hlt.neg %1
// CHECK-NEXT: %r = hlt.loop %i limit 4
// CHECK-NEXT:   %3 = hlt.exp %s
// CHECK-NEXT:   %t = hlt.loop %j limit 2
// Movement alone stays where it is read, and what may fail where it may not happen.
// CHECK-NEXT:     %4 = hlt.broadcast %a
// CHECK-NEXT:     %5 = hlt.gather %a, %k
// CHECK-NEXT:     %6 = hlt.broadcast %5
func.func @main(%a: tensor<2xf32>, %x: tensor<3x2xf32>, %k: tensor<2xi64>) -> tensor<3x2xf32> {
  %r = hlt.loop %i limit 4 carry(%s = %x : tensor<3x2xf32>) -> (tensor<3x2xf32>) {
    %t = hlt.loop %j limit 2 carry(%u = %s : tensor<3x2xf32>) -> (tensor<3x2xf32>) {
      %0 = hlt.exp %a : tensor<2xf32>
      %1 = hlt.broadcast %0 <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
      %2 = hlt.neg %1 : tensor<3x2xf32>
      %3 = hlt.exp %s : tensor<3x2xf32>
      %4 = hlt.broadcast %a <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
      %5 = hlt.gather %a, %k <axis = 0> : (tensor<2xf32>, tensor<2xi64>) -> tensor<2xf32>
      %6 = hlt.broadcast %5 <shape = [3, 2], dims = [1]> : (tensor<2xf32>) -> tensor<3x2xf32>
      %7 = hlt.add %u, %2 : tensor<3x2xf32>
      %8 = hlt.add %7, %3 : tensor<3x2xf32>
      %9 = hlt.add %8, %4 : tensor<3x2xf32>
      %10 = hlt.add %9, %6 : tensor<3x2xf32>
      hlt.yield %10 : tensor<3x2xf32>
    }
    hlt.yield %t : tensor<3x2xf32>
  }
  func.return %r : tensor<3x2xf32>
}
