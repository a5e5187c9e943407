// RUN: mlc opt %s -p "group,assign-layouts{target=x86-64-v3}" --verify-each | filecheck %s

// A pointwise convolution between row-major tensors stays so where its places fill vectors; 6x6 of them do not.
// CHECK-LABEL:   func.func @main(%x: tensor<1x16x8x8xf32>, %y: tensor<1x16x6x6xf32>, %v: tensor<32x16x1x1xf32>) -> (tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>) {
// CHECK-NEXT:      %0 = hlt.fusion(%x_1 = %x : tensor<1x16x8x8xf32>, %v_1 = %v : tensor<32x16x1x1xf32>) -> (tensor<1x32x8x8xf32>) {
// CHECK-NEXT:        %1 = hlt.conv %x_1, %v_1 <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x8x8xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x8x8xf32>
// CHECK-NEXT:        hlt.yield %1 : tensor<1x32x8x8xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %1 = hlt.fusion(%y_1 = %y : tensor<1x16x6x6xf32>, %v_1 = %v : tensor<32x16x1x1xf32>) -> (tensor<1x32x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) {
// CHECK-NEXT:        %2 = hlt.conv %y_1, %v_1 <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x6x6xf32>
// CHECK-NEXT:        hlt.yield %2 : tensor<1x32x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %2 = hlt.fusion(%3 = %1 : tensor<1x32x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) -> (tensor<1x32x6x6xf32>) {
// CHECK-NEXT:        %4 = hlt.transpose %3 <permutation = [0, 1, 2, 3]> : (tensor<1x32x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) -> tensor<1x32x6x6xf32>
// CHECK-NEXT:        hlt.yield %4 : tensor<1x32x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %0, %2 : tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>
// CHECK-NEXT:    }
func.func @main(%x: tensor<1x16x8x8xf32>, %y: tensor<1x16x6x6xf32>, %v: tensor<32x16x1x1xf32>) -> (tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>) {
  %0 = hlt.conv %x, %v <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x8x8xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x8x8xf32>
  %1 = hlt.conv %y, %v <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<32x16x1x1xf32>) -> tensor<1x32x6x6xf32>
  func.return %0, %1 : tensor<1x32x8x8xf32>, tensor<1x32x6x6xf32>
}
