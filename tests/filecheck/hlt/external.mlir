// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s | mlc opt - | filecheck %s

func.func @main(%x: tensor<2x3xf32>, %n: tensor<i8>) -> (tensor<2x3xf32>, tensor<4xi64>) {
  // CHECK:      %0, %1 = hlt.call_c "f"(%x, %n) [1 : i64, 5.000000e-01 : f64, "text", array<i64: 1, 2>] : (tensor<2x3xf32>, tensor<i8>) -> (tensor<2x3xf32>, tensor<4xi64>)
  %0, %1 = hlt.call_c "f"(%x, %n) [1 : i64, 5.0e-01 : f64, "text", array<i64: 1, 2>] : (tensor<2x3xf32>, tensor<i8>) -> (tensor<2x3xf32>, tensor<4xi64>)
  // CHECK-NEXT: %2 = hlt.call_c "g"() [] {hlt.node = "n"} : () -> tensor<2x3xf32>
  %2 = hlt.call_c "g"() [] {hlt.node = "n"} : () -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<4xi64>
}
