// RUN: mlc opt %s --split-input-file -p store-half | filecheck %s
// RUN: mlc opt %s --split-input-file -p 'store-half{accumulate=f16}' | filecheck %s --check-prefix=HALF

// store-half: tensors between kernels are f16, what kernels compute with is f32.

// The model's input and output stay f32; the tensor between the kernels is saturated where it is made.

// CHECK-LABEL: func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
// CHECK-NEXT:    %a = hlt.fusion(%0 = %x : tensor<2x3xf32>) -> (tensor<2x3xf16>) {
// CHECK-NEXT:      %1 = hlt.exp %0 : tensor<2x3xf32>
// CHECK-NEXT:      %2 = hlt.constant dense<6.550400e+04> : tensor<2x3xf32>
// CHECK-NEXT:      %3 = hlt.minimum %1, %2 : tensor<2x3xf32>
// CHECK-NEXT:      %4 = hlt.cast %3 <dtype = f16, saturate = true> : (tensor<2x3xf32>) -> tensor<2x3xf16>
// CHECK-NEXT:      hlt.yield %4 : tensor<2x3xf16>
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = hlt.fusion(%0 = %a : tensor<2x3xf16>) -> (tensor<2x3xf32>) {
// CHECK-NEXT:      %1 = hlt.cast %0 <dtype = f32, saturate = true> : (tensor<2x3xf16>) -> tensor<2x3xf32>
// CHECK-NEXT:      %2 = hlt.softmax %1
// CHECK-NEXT:      hlt.yield %2 : tensor<2x3xf32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : tensor<2x3xf32>
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %a = hlt.fusion(%0 = %x : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
    %1 = hlt.exp %0 : tensor<2x3xf32>
    hlt.yield %1 : tensor<2x3xf32>
  }
  %b = hlt.fusion(%2 = %a : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
    %3 = hlt.softmax %2 <axis = 1, log = false, safe = false> : tensor<2x3xf32>
    hlt.yield %3 : tensor<2x3xf32>
  }
  func.return %b : tensor<2x3xf32>
}

// -----

// Bounded results need no saturation; kernels that only move elements run on f16, and views show f16.

// CHECK-LABEL: func.func @main(%x: tensor<2x3xf32>) -> tensor<6xf32> {
// CHECK:           %1 = hlt.tanh %0 : tensor<2x3xf32>
// CHECK-NEXT:      %2 = hlt.cast %1 <dtype = f16, saturate = true>
// CHECK:         %b = hlt.fusion(%0 = %a : tensor<2x3xf16>) -> (tensor<3x2xf16>) {
// CHECK-NEXT:      %1 = hlt.transpose %0 <permutation = [1, 0]> : (tensor<2x3xf16>) -> tensor<3x2xf16>
// CHECK-NEXT:      hlt.yield %1 : tensor<3x2xf16>
// CHECK:         %c = hlt.reshape %b <shape = [6]> : (tensor<3x2xf16>) -> tensor<6xf16>
func.func @main(%x: tensor<2x3xf32>) -> tensor<6xf32> {
  %a = hlt.fusion(%0 = %x : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
    %1 = hlt.tanh %0 : tensor<2x3xf32>
    hlt.yield %1 : tensor<2x3xf32>
  }
  %b = hlt.fusion(%2 = %a : tensor<2x3xf32>) -> (tensor<3x2xf32>) {
    %3 = hlt.transpose %2 <permutation = [1, 0]> : (tensor<2x3xf32>) -> tensor<3x2xf32>
    hlt.yield %3 : tensor<3x2xf32>
  }
  %c = hlt.reshape %b <shape = [6]> : (tensor<3x2xf32>) -> tensor<6xf32>
  %d = hlt.fusion(%4 = %c : tensor<6xf32>) -> (tensor<6xf32>) {
    %5 = hlt.exp %4 : tensor<6xf32>
    hlt.yield %5 : tensor<6xf32>
  }
  func.return %d : tensor<6xf32>
}

// -----

// With accumulate=f16 products of f16 are f16.

// CHECK:           hlt.dot_general {{.*}} -> tensor<2x2xf32>
// HALF:            hlt.dot_general {{.*}}hlt.accumulate{{.*}} -> tensor<2x2xf16>
// HALF-NEXT:       hlt.cast {{.*}} -> tensor<2x2xf32>
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x2xf32> {
  %a = hlt.fusion(%0 = %x : tensor<2x3xf32>) -> (tensor<2x3xf32>) {
    %1 = hlt.tanh %0 : tensor<2x3xf32>
    hlt.yield %1 : tensor<2x3xf32>
  }
  %b = hlt.fusion(%2 = %a : tensor<2x3xf32>) -> (tensor<2x2xf32>) {
    %3 = hlt.dot_general %2, %2 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]> : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>
    hlt.yield %3 : tensor<2x2xf32>
  }
  func.return %b : tensor<2x2xf32>
}
