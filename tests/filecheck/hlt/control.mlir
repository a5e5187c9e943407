// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s | mlc opt - | filecheck %s

func.func @main(%c: tensor<i1>, %n: tensor<i64>, %a: tensor<2xf32>, %b: tensor<4x2xf32>) -> tensor<2xf32> {
  // A region uses values from outside as they are.
  // CHECK:      %0 = hlt.if %c -> (tensor<2xf32>) {
  // CHECK-NEXT:   hlt.yield %a : tensor<2xf32>
  // CHECK-NEXT: } else {
  // CHECK-NEXT:   %1 = hlt.neg %a : tensor<2xf32>
  // CHECK-NEXT:   hlt.yield %1 : tensor<2xf32>
  // CHECK-NEXT: } {hlt.node = "choice"}
  %0 = hlt.if %c -> (tensor<2xf32>) {
    hlt.yield %a : tensor<2xf32>
  } else {
    %1 = hlt.neg %a : tensor<2xf32>
    hlt.yield %1 : tensor<2xf32>
  } {hlt.node = "choice"}

  // CHECK-NEXT: %2, %3 = hlt.loop %i limit 4 trips %n while %c carry(%s = %0 : tensor<2xf32>) each(%x = %b : tensor<4x2xf32>) -> (tensor<2xf32>, tensor<4x2xf32>) {
  // CHECK-NEXT:   %4 = hlt.add %s, %x : tensor<2xf32>
  // CHECK-NEXT:   hlt.yield %c, %4, %x : tensor<i1>, tensor<2xf32>, tensor<2xf32>
  // CHECK-NEXT: }
  %2, %3 = hlt.loop %i limit 4 trips %n while %c carry(%s = %0 : tensor<2xf32>) each(%x = %b : tensor<4x2xf32>) -> (tensor<2xf32>, tensor<4x2xf32>) {
    %4 = hlt.add %s, %x : tensor<2xf32>
    hlt.yield %c, %4, %x : tensor<i1>, tensor<2xf32>, tensor<2xf32>
  }

  // A loop without carried values, and one inside another.
  // CHECK-NEXT: %5 = hlt.loop %j limit 3 -> (tensor<3xi64>) {
  // CHECK-NEXT:   %6 = hlt.loop %k trips %j carry(%t = %n : tensor<i64>) -> (tensor<i64>) {
  // CHECK-NEXT:     %7 = hlt.add %t, %k : tensor<i64>
  // CHECK-NEXT:     hlt.yield %7 : tensor<i64>
  // CHECK-NEXT:   }
  // CHECK-NEXT:   hlt.yield %6 : tensor<i64>
  // CHECK-NEXT: }
  %5 = hlt.loop %j limit 3 -> (tensor<3xi64>) {
    %6 = hlt.loop %k trips %j carry(%t = %n : tensor<i64>) -> (tensor<i64>) {
      %7 = hlt.add %t, %k : tensor<i64>
      hlt.yield %7 : tensor<i64>
    }
    hlt.yield %6 : tensor<i64>
  }
  func.return %2 : tensor<2xf32>
}
