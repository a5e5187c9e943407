// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Attention with and without a mask, and booleans that hide keys.

// CHECK-LABEL: func.func @attention(%a: tensor<1x2x5x64xf32>, %b: tensor<1x2x7x64xf32>, %c: tensor<1x2x7x64xf32>, %d: tensor<1x1x5x7xf32>) {
// CHECK-NEXT:    %r = hlt.attention %a, %b, %c, mask = %d <scale = 0.125, causal = false> : (tensor<1x2x5x64xf32>, tensor<1x2x7x64xf32>, tensor<1x2x7x64xf32>, tensor<1x1x5x7xf32>) -> tensor<1x2x5x64xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @attention(%a: tensor<1x2x5x64xf32>, %b: tensor<1x2x7x64xf32>, %c: tensor<1x2x7x64xf32>, %d: tensor<1x1x5x7xf32>) {
  %r = hlt.attention %a, %b, %c, mask = %d <scale = 0.125, causal = false> : (tensor<1x2x5x64xf32>, tensor<1x2x7x64xf32>, tensor<1x2x7x64xf32>, tensor<1x1x5x7xf32>) -> tensor<1x2x5x64xf32>
  func.return
}

// CHECK-LABEL: func.func @attention_2(%a: tensor<1x2x3x4xf32>, %b: tensor<1x2x3x4xf32>, %c: tensor<1x2x3x4xf32>) {
// CHECK-NEXT:    %r = hlt.attention %a, %b, %c <scale = 1.0, causal = true> : tensor<1x2x3x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @attention_2(%a: tensor<1x2x3x4xf32>, %b: tensor<1x2x3x4xf32>, %c: tensor<1x2x3x4xf32>) {
  %r = hlt.attention %a, %b, %c <scale = 1.0, causal = true> : tensor<1x2x3x4xf32>
  func.return
}

// CHECK-LABEL: func.func @attention_3(%a: tensor<1x2x3x4xf32>, %b: tensor<1x1x1x3xi1>) {
// CHECK-NEXT:    %r = hlt.attention %a, %a, %a, visible = %b <scale = 1.0, causal = false> : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x1x1x3xi1>) -> tensor<1x2x3x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @attention_3(%a: tensor<1x2x3x4xf32>, %b: tensor<1x1x1x3xi1>) {
  %r = hlt.attention %a, %a, %a, visible = %b <scale = 1.0, causal = false> : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x1x1x3xi1>) -> tensor<1x2x3x4xf32>
  func.return
}
