// RUN: mlc opt %s -p 'word-dots{target="x86-64:cascadelake"}' | filecheck %s
// RUN: mlc opt %s -p 'word-dots{target="aarch64::+dotprod"}' | filecheck %s --check-prefix=SIGNED
// RUN: mlc opt %s -p 'word-dots{target="x86-64-v3"}' | filecheck %s --check-prefix=PAIRS
// RUN: mlc opt %s -p 'word-dots{target="aarch64"}' | filecheck %s --check-prefix=NONE

// word-dots: products of bytes with constants use the target's dot-product instructions.

// The zero point comes off the sums. Six bytes make two words of four.

// CHECK-LABEL: func.func @product
// CHECK-NEXT:    [[PADDED:%.*]] = hlt.pad %x <low = [0, 0], high = [0, 2], mode = "constant", value = 0.0>
// CHECK-NEXT:    [[WORDS:%.*]] = hlt.words [[PADDED]] : (tensor<2x8xui8>) -> tensor<2x2xi32>
// CHECK-NEXT:    [[W:%.*]] = hlt.constant dense<{{\[\[}}67305985], [1541]]> : tensor<2x1xi32>
// CHECK-NEXT:    [[DOT:%.*]] = hlt.dot_words [[WORDS]], [[W]] <parts = "u8i8"> : (tensor<2x2xi32>, tensor<2x1xi32>) -> tensor<2x1xi32>
// CHECK-NEXT:    [[Z:%.*]] = hlt.constant dense<3> : tensor<i32>
// CHECK:         [[SUMS:%.*]] = hlt.constant dense<21> : tensor<1xi32>
// CHECK:         hlt.sub [[DOT]], {{.*}} : tensor<2x1xi32>

// Where there are only products of signed bytes, the sign bits are flipped.

// SIGNED-LABEL: func.func @product
// SIGNED:         [[FLIPPED:%.*]] = hlt.xor %x, {{.*}} : tensor<2x6xui8>
// SIGNED-NEXT:    hlt.bitcast [[FLIPPED]] <dtype = i8>
// SIGNED:         hlt.dot_words {{.*}} <parts = "i8i8">

// Pairs of i16 hold the bytes of either kind.

// PAIRS-LABEL: func.func @product
// PAIRS-NEXT:    [[WIDE:%.*]] = hlt.cast %x <dtype = i16, saturate = true>
// PAIRS-NEXT:    hlt.words [[WIDE]] : (tensor<2x6xi16>) -> tensor<2x3xi32>
// PAIRS:         hlt.dot_words {{.*}} <parts = "i16i16">
// PAIRS:         hlt.sub

// NONE-LABEL:  func.func @product
// NONE-NOT:      hlt.words
func.func @product(%x: tensor<2x6xui8>) -> tensor<2x1xi32> {
  %0 = hlt.cast %x <dtype = i32, saturate = true> : (tensor<2x6xui8>) -> tensor<2x6xi32>
  %z = hlt.constant dense<3> : tensor<2x6xi32>
  %1 = hlt.sub %0, %z : tensor<2x6xi32>
  %w = hlt.constant dense<[[1], [2], [3], [4], [5], [6]]> : tensor<6x1xi8>
  %2 = hlt.cast %w <dtype = i32, saturate = true> : (tensor<6x1xi8>) -> tensor<6x1xi32>
  %3 = hlt.dot_general %1, %2 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<2x6xi32>, tensor<6x1xi32>) -> tensor<2x1xi32>
  func.return %3 : tensor<2x1xi32>
}

// Channels go last, and the border is the zero point.

// CHECK-LABEL: func.func @convolution
// CHECK-NEXT:    [[LAST:%.*]] = hlt.transpose %x <permutation = [0, 2, 1]> : (tensor<1x4x3xui8>) -> tensor<1x3x4xui8>
// CHECK-NEXT:    [[PADDED:%.*]] = hlt.pad [[LAST]] <low = [0, 1, 0], high = [0, 1, 0], mode = "constant", value = 7.0>
// CHECK-NEXT:    [[WORDS:%.*]] = hlt.words [[PADDED]]
// CHECK-NEXT:    [[W:%.*]] = hlt.constant {{.*}} : tensor<3x1x2xi32>
// CHECK-NEXT:    [[CONV:%.*]] = hlt.conv_words [[WORDS]], [[W]] <strides = [1], dilations = [1], parts = "u8i8"> : (tensor<1x5x1xi32>, tensor<3x1x2xi32>) -> tensor<1x3x2xi32>
// CHECK-NEXT:    hlt.transpose [[CONV]] <permutation = [0, 2, 1]>
func.func @convolution(%x: tensor<1x4x3xui8>) -> tensor<1x2x3xi32> {
  %0 = hlt.cast %x <dtype = i32, saturate = true> : (tensor<1x4x3xui8>) -> tensor<1x4x3xi32>
  %z = hlt.constant dense<7> : tensor<1x4x3xi32>
  %1 = hlt.sub %0, %z : tensor<1x4x3xi32>
  %w = hlt.constant dense<-1> : tensor<2x4x3xi8>
  %2 = hlt.cast %w <dtype = i32, saturate = true> : (tensor<2x4x3xi8>) -> tensor<2x4x3xi32>
  %3 = hlt.conv %1, %2 <strides = [1], pads_low = [1], pads_high = [1], dilations = [1], groups = 1> : (tensor<1x4x3xi32>, tensor<2x4x3xi32>) -> tensor<1x2x3xi32>
  func.return %3 : tensor<1x2x3xi32>
}

// Nothing stands for 0 in a border when the zero point comes with the call; and groups have few channels each.

// CHECK-LABEL: func.func @left_alone
// CHECK-NOT:     hlt.words
func.func @left_alone(%x: tensor<1x4x3xui8>, %z: tensor<i32>) -> (tensor<1x2x3xi32>, tensor<1x4x1xi32>) {
  %0 = hlt.cast %x <dtype = i32, saturate = true> : (tensor<1x4x3xui8>) -> tensor<1x4x3xi32>
  %1 = hlt.broadcast %z <shape = [1, 4, 3], dims = []> : (tensor<i32>) -> tensor<1x4x3xi32>
  %2 = hlt.sub %0, %1 : tensor<1x4x3xi32>
  %w = hlt.constant dense<-1> : tensor<2x4x3xi8>
  %3 = hlt.cast %w <dtype = i32, saturate = true> : (tensor<2x4x3xi8>) -> tensor<2x4x3xi32>
  %4 = hlt.conv %2, %3 <strides = [1], pads_low = [1], pads_high = [1], dilations = [1], groups = 1> : (tensor<1x4x3xi32>, tensor<2x4x3xi32>) -> tensor<1x2x3xi32>
  %v = hlt.constant dense<2> : tensor<4x1x3xi8>
  %5 = hlt.cast %v <dtype = i32, saturate = true> : (tensor<4x1x3xi8>) -> tensor<4x1x3xi32>
  %6 = hlt.conv %0, %5 <strides = [1], pads_low = [0], pads_high = [0], dilations = [1], groups = 4> : (tensor<1x4x3xi32>, tensor<4x1x3xi32>) -> tensor<1x4x1xi32>
  func.return %4, %6 : tensor<1x2x3xi32>, tensor<1x4x1xi32>
}

// Zero points are any numbers: a border of 300 is no byte, and weights less 40000 fit no word.

// CHECK-LABEL: func.func @large_zero_points
// CHECK-NOT:     hlt.conv_words
// CHECK:         hlt.conv {{.*}}pads_low = [1]
// CHECK:         hlt.dot_general
// PAIRS-LABEL: func.func @large_zero_points
// PAIRS:         hlt.pad {{.*}} value = 300.0> : (tensor<1x3x4xi16>)
// PAIRS:         hlt.conv_words
// PAIRS:         hlt.dot_general
func.func @large_zero_points(%x: tensor<1x4x3xui8>, %y: tensor<2x4xui8>) -> (tensor<1x2x3xi32>, tensor<2x1xi32>) {
  %0 = hlt.cast %x <dtype = i32, saturate = true> : (tensor<1x4x3xui8>) -> tensor<1x4x3xi32>
  %z = hlt.constant dense<300> : tensor<1x4x3xi32>
  %1 = hlt.sub %0, %z : tensor<1x4x3xi32>
  %w = hlt.constant dense<-1> : tensor<2x4x3xi8>
  %2 = hlt.cast %w <dtype = i32, saturate = true> : (tensor<2x4x3xi8>) -> tensor<2x4x3xi32>
  %3 = hlt.conv %1, %2 <strides = [1], pads_low = [1], pads_high = [1], dilations = [1], groups = 1> : (tensor<1x4x3xi32>, tensor<2x4x3xi32>) -> tensor<1x2x3xi32>
  %4 = hlt.cast %y <dtype = i32, saturate = true> : (tensor<2x4xui8>) -> tensor<2x4xi32>
  %v = hlt.constant dense<5> : tensor<4x1xi8>
  %5 = hlt.cast %v <dtype = i32, saturate = true> : (tensor<4x1xi8>) -> tensor<4x1xi32>
  %u = hlt.constant dense<40000> : tensor<4x1xi32>
  %6 = hlt.sub %5, %u : tensor<4x1xi32>
  %7 = hlt.dot_general %4, %6 <lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [0]> : (tensor<2x4xi32>, tensor<4x1xi32>) -> tensor<2x1xi32>
  func.return %3, %7 : tensor<1x2x3xi32>, tensor<2x1xi32>
}
