// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Normalisations; scale and bias may be left out.

// CHECK-LABEL: func.func @layer_norm(%a: tensor<2x8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) {
// CHECK-NEXT:    %r = hlt.layer_norm %a, scale = %b, bias = %c <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @layer_norm(%a: tensor<2x8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) {
  %r = hlt.layer_norm %a, scale = %b, bias = %c <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  func.return
}

// CHECK-LABEL: func.func @rms_norm(%a: tensor<2x8xf32>, %b: tensor<8xf32>) {
// CHECK-NEXT:    %r = hlt.rms_norm %a, scale = %b <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @rms_norm(%a: tensor<2x8xf32>, %b: tensor<8xf32>) {
  %r = hlt.rms_norm %a, scale = %b <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  func.return
}

// CHECK-LABEL: func.func @batch_norm(%a: tensor<1x8x4xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>, %d: tensor<8xf32>, %e: tensor<8xf32>) {
// CHECK-NEXT:    %r = hlt.batch_norm %a, %b, %c, %d, %e <epsilon = 1.0e-05> : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @batch_norm(%a: tensor<1x8x4xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>, %d: tensor<8xf32>, %e: tensor<8xf32>) {
  %r = hlt.batch_norm %a, %b, %c, %d, %e <epsilon = 1.0e-05> : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
  func.return
}

// CHECK-LABEL: func.func @group_norm(%a: tensor<1x8x4xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) {
// CHECK-NEXT:    %r = hlt.group_norm %a, %b, %c <groups = 2, epsilon = 1.0e-05> : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @group_norm(%a: tensor<1x8x4xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>) {
  %r = hlt.group_norm %a, %b, %c <groups = 2, epsilon = 1.0e-05> : (tensor<1x8x4xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<1x8x4xf32>
  func.return
}

// CHECK-LABEL: func.func @lrn(%a: tensor<1x8x4x4xf32>) {
// CHECK-NEXT:    %r = hlt.lrn %a <size = 5, alpha = 0.0001, beta = 0.75, bias = 1.0> : tensor<1x8x4x4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @lrn(%a: tensor<1x8x4x4xf32>) {
  %r = hlt.lrn %a <size = 5, alpha = 0.0001, beta = 0.75, bias = 1.0> : tensor<1x8x4x4xf32>
  func.return
}

// CHECK-LABEL: func.func @layer_norm_2(%a: tensor<2x8xf32>) {
// CHECK-NEXT:    %r = hlt.layer_norm %a <axis = 1, epsilon = 1.0e-05> : tensor<2x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @layer_norm_2(%a: tensor<2x8xf32>) {
  %r = hlt.layer_norm %a <axis = 1, epsilon = 1.0e-05> : tensor<2x8xf32>
  func.return
}

// CHECK-LABEL: func.func @layer_norm_3(%a: tensor<2x8xf32>, %b: tensor<8xf32>) {
// CHECK-NEXT:    %r = hlt.layer_norm %a, bias = %b <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @layer_norm_3(%a: tensor<2x8xf32>, %b: tensor<8xf32>) {
  %r = hlt.layer_norm %a, bias = %b <axis = 1, epsilon = 1.0e-05> : (tensor<2x8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  func.return
}
