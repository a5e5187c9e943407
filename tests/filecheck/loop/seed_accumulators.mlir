// RUN: mlc opt %s --split-input-file -p 'seed-accumulators' | filecheck %s

// seed-accumulators: a sum starts from what would be added at the end.

// One accumulator per result.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<14x8xf32>, %b: memref<8x32xf32>, %bias: memref<32xf32>, %c: memref<14x32xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<14x8xf32>, memref<8x32xf32>, memref<32xf32>) outs(%c : memref<14x32xf32>) dims <"m=14 n=32 k=8:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(1)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
// CHECK-NEXT:    ^bb0(%x: f32, %w: f32, %s: f32):
// CHECK-NEXT:      loop.yield %s : f32
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
// CHECK-NEXT:      loop.yield %acc : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<14x8xf32>, %b: memref<8x32xf32>, %bias: memref<32xf32>, %c: memref<14x32xf32>):
  loop.compute ins(%a, %b, %bias : memref<14x8xf32>, memref<8x32xf32>, memref<32xf32>) outs(%c : memref<14x32xf32>) dims <"m=14 n=32 k=8:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16 pack(1)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// Not where lanes of the reduction are merged: they would add it several times.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<14x8xf32>, %b: memref<8x32xf32>, %bias: memref<32xf32>, %c: memref<14x32xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<14x8xf32>, memref<8x32xf32>, memref<32xf32>) outs(%c : memref<14x32xf32>) dims <"m=14 n=32 k=8:r"> schedule <"m/1 n/1 k/16 k@16"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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
^bb0(%a: memref<14x8xf32>, %b: memref<8x32xf32>, %bias: memref<32xf32>, %c: memref<14x32xf32>):
  loop.compute ins(%a, %b, %bias : memref<14x8xf32>, memref<8x32xf32>, memref<32xf32>) outs(%c : memref<14x32xf32>) dims <"m=14 n=32 k=8:r"> schedule <"m/1 n/1 k/16 k@16"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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
