// RUN: mlc opt %s -p "group,assign-layouts{target=x86-64-v3}" --verify-each | filecheck %s

// Between convolutions channels lie in blocks of a vector; what leaves is copied out row-major.
// CHECK-LABEL:   func.func @main(%x: tensor<1x16x6x6xf32>, %w: tensor<16x16x3x3xf32>, %v: tensor<4x16x1x1xf32>) -> (tensor<1x16x6x6xf32>, tensor<1x4x6x6xf32>) {
// CHECK-NEXT:      %0 = hlt.fusion(%x_1 = %x : tensor<1x16x6x6xf32>, %w_1 = %w : tensor<16x16x3x3xf32>) -> (tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) {
// CHECK-NEXT:        %1 = hlt.conv %x_1, %w_1 <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<1x16x6x6xf32>
// CHECK-NEXT:        hlt.yield %1 : tensor<1x16x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %1 = hlt.fusion(%2 = %0 : tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>, %w_1 = %w : tensor<16x16x3x3xf32>) -> (tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) {
// CHECK-NEXT:        %3 = hlt.conv %2, %w_1 <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>, tensor<16x16x3x3xf32>) -> tensor<1x16x6x6xf32>
// CHECK-NEXT:        hlt.yield %3 : tensor<1x16x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %2 = hlt.fusion(%3 = %1 : tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) -> (tensor<1x16x6x6xf32>) {
// CHECK-NEXT:        %4 = hlt.transpose %3 <permutation = [0, 1, 2, 3]> : (tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>) -> tensor<1x16x6x6xf32>
// CHECK-NEXT:        hlt.yield %4 : tensor<1x16x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %3 = hlt.fusion(%4 = %0 : tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>, %v_1 = %v : tensor<4x16x1x1xf32>) -> (tensor<1x4x6x6xf32>) {
// CHECK-NEXT:        %5 = hlt.conv %4, %v_1 <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32, #hlt.layout<"d0 d1/8 d2 d3 d1%8">>, tensor<4x16x1x1xf32>) -> tensor<1x4x6x6xf32>
// CHECK-NEXT:        hlt.yield %5 : tensor<1x4x6x6xf32>
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %2, %3 : tensor<1x16x6x6xf32>, tensor<1x4x6x6xf32>
// CHECK-NEXT:    }
func.func @main(%x: tensor<1x16x6x6xf32>, %w: tensor<16x16x3x3xf32>, %v: tensor<4x16x1x1xf32>) -> (tensor<1x16x6x6xf32>, tensor<1x4x6x6xf32>) {
  %0 = hlt.conv %x, %w <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<1x16x6x6xf32>
  %1 = hlt.conv %0, %w <strides = [1, 1], pads_low = [1, 1], pads_high = [1, 1], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<16x16x3x3xf32>) -> tensor<1x16x6x6xf32>
  %2 = hlt.conv %0, %v <strides = [1, 1], pads_low = [0, 0], pads_high = [0, 0], dilations = [1, 1], groups = 1> : (tensor<1x16x6x6xf32>, tensor<4x16x1x1xf32>) -> tensor<1x4x6x6xf32>
  func.return %1, %2 : tensor<1x16x6x6xf32>, tensor<1x4x6x6xf32>
}
