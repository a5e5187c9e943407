// RUN: mlc opt %s --split-input-file --verify-diagnostics -p 'split,pack,hoist-packs' | filecheck %s

// Packs that can't be made ahead of time, or whose storage would not be regular.

// CHECK: [pack_balanced] dim 'm' of operand 0 is packed: its steps can't vary
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(0)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// -----

// CHECK: [pack_constant] only constants are packed ahead of time
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(0)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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
