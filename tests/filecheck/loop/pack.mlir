// RUN: mlc opt %s --split-input-file -p 'split,pack' | filecheck %s

// pack: operands are stored in the order in which the nest reads them.

// Weights of a product; what a dim's last block lacks is zero.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    %0 = loop.pack %b reach <"0 | n/32:128 k/4:12288 k*:3072 n*:64 n@:4"> dims <"n=760 k=768:r"> schedule <"n/32 k/4 k* n* n@16"> : memref<768x768xf32> -> memref<24x192x4x2x16xf32>
// CHECK-NEXT:    loop.compute ins(%a, %0, %bias : memref<128x768xf32>, memref<24x192x4x2x16xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=760 k=768:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(1)"> reach [#loop.reach<"0 | m/7:21504 k/4:16 k*:4 m*:3072">, #loop.reach<"0 | n/32:98304 k/4:512 k*:128 n*:64 n@:4 | full">, #loop.reach<"0 | n/32:128 n*:64 n@:4">, #loop.reach<"0 | n/32:128 m/7:21504 m*:3072 n*:64 n@:4">] init {
// CHECK-NEXT:    ^bb0(%x: f32, %w: f32, %s: f32):
// CHECK-NEXT:      %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero : f32
// CHECK-NEXT:    } map {
// CHECK-NEXT:    ^bb0(%x_1: f32, %w_1: f32, %s_1: f32):
// CHECK-NEXT:      %p = arith.mulf %x_1, %w_1 : f32
// CHECK-NEXT:      loop.yield %p : f32
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    ^bb0(%u: f32, %v: f32):
// CHECK-NEXT:      %t = arith.addf %u, %v : f32
// CHECK-NEXT:      loop.yield %t : f32
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%x_2: f32, %w_2: f32, %s_2: f32, %acc: f32):
// CHECK-NEXT:      %y = arith.addf %acc, %s_2 : f32
// CHECK-NEXT:      loop.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=760 k=768:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(1)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
  ^bb1(%x: f32, %w: f32, %s: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%x: f32, %w: f32, %s: f32):
    %p = arith.mulf %x, %w : f32
    loop.yield %p : f32
  } combine {
  ^bb3(%u: f32, %v: f32):
    %t = arith.addf %u, %v : f32
    loop.yield %t : f32
  } finish {
  ^bb4(%x: f32, %w: f32, %s: f32, %acc: f32):
    %y = arith.addf %acc, %s : f32
    loop.yield %y : f32
  }
}
