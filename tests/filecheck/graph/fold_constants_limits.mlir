// RUN: mlc opt %s -p 'fold-constants{growth=1024 strict=true}' --verify-each | filecheck %s

// What the options of fold-constants keep from folding.

// The table is larger than what it is made of.
// CHECK-LABEL: func.func @growth() -> tensor<64x64xi32> {
// CHECK-NEXT:    %0 = hlt.iota <shape = [64, 64], axis = 0, dtype = i32> : tensor<64x64xi32>
// CHECK-NEXT:    %1 = hlt.add %0, %0 : tensor<64x64xi32>
// CHECK-NEXT:    func.return %1 : tensor<64x64xi32>
// CHECK-NEXT:  }
func.func @growth() -> tensor<64x64xi32> {
  %0 = hlt.iota <shape = [64, 64], axis = 0, dtype = i32> : tensor<64x64xi32>
  %1 = hlt.add %0, %0 : tensor<64x64xi32>
  func.return %1 : tensor<64x64xi32>
}

// Not every implementation rounds an exponential alike.
// CHECK-LABEL: func.func @strict() -> (tensor<f32>, tensor<f32>) {
// CHECK-NEXT:    %0 = hlt.constant dense<2.000000e+00> : tensor<f32>
// CHECK-NEXT:    %1 = hlt.exp %0 : tensor<f32>
// CHECK-NEXT:    %2 = hlt.constant dense<1.41421354> : tensor<f32>
// CHECK-NEXT:    func.return %1, %2 : tensor<f32>, tensor<f32>
// CHECK-NEXT:  }
func.func @strict() -> (tensor<f32>, tensor<f32>) {
  %0 = hlt.constant dense<2.0> : tensor<f32>
  %1 = hlt.exp %0 : tensor<f32>
  %2 = hlt.sqrt %0 : tensor<f32>
  func.return %1, %2 : tensor<f32>, tensor<f32>
}
