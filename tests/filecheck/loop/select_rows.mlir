// RUN: mlc opt %s --split-input-file -p 'split,select-rows' | filecheck %s

// select-rows: map and combine become one step, products and sums one operation.

// The sum of products.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16"> reach [#loop.reach<"0 | m/7:21504 k/4:16 k*:4 m*:3072">, #loop.reach<"0 | n/32:128 k/4:12288 k*:3072 n*:64 n@:4">, #loop.reach<"0 | n/32:128 n*:64 n@:4">, #loop.reach<"0 | n/32:128 m/7:21504 m*:3072 n*:64 n@:4">] attributes {joined} init {
// CHECK-NEXT:    ^bb0(%x: f32, %w: f32, %s: f32):
// CHECK-NEXT:      %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero : f32
// CHECK-NEXT:    } map {
// CHECK-NEXT:    ^bb0(%x_1: f32, %w_1: f32, %s_1: f32, %0: f32):
// CHECK-NEXT:      %t = math.fma %x_1, %w_1, %0 : f32
// CHECK-NEXT:      loop.yield %t : f32
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    ^bb0(%u: f32, %v: f32):
// CHECK-NEXT:      %t_1 = arith.addf %u, %v : f32
// CHECK-NEXT:      loop.yield %t_1 : f32
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%x_2: f32, %w_2: f32, %s_2: f32, %acc: f32):
// CHECK-NEXT:      %y = arith.addf %acc, %s_2 : f32
// CHECK-NEXT:      loop.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/7 k/4 k* m* n* n@16"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// A dot of words takes what it is added to.

// CHECK-LABEL: loop.kernel @words
// CHECK:         } map {
// CHECK-NEXT:    ^bb0(%x_1: i32, %w_1: i32, [[ACC:%.*]]: i32):
// CHECK-NEXT:      %z_1 = arith.constant 0 : i32
// CHECK-NEXT:      [[SUM:%.*]] = loop.dot "u8i8" %x_1, %w_1, [[ACC]]
// CHECK-NEXT:      loop.yield [[SUM]] : i32
loop.kernel @words attributes {weights = array<i64: 1>} {
^bb0(%a: memref<8x16xi32>, %b: memref<16x16xi32>, %c: memref<8x16xi32>):
  loop.compute ins(%a, %b : memref<8x16xi32>, memref<16x16xi32>) outs(%c : memref<8x16xi32>) dims <"m=8 n=16 k=16:r"> schedule <"m/4 k/4 k* m* n* n@16"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">] init {
  ^bb1(%x: i32, %w: i32):
    %z = arith.constant 0 : i32
    loop.yield %z : i32
  } map {
  ^bb2(%x: i32, %w: i32):
    %z = arith.constant 0 : i32
    %p = loop.dot "u8i8" %x, %w, %z
    loop.yield %p : i32
  } combine {
  ^bb3(%u: i32, %v: i32):
    %t = arith.addi %u, %v : i32
    loop.yield %t : i32
  } finish {
  ^bb4(%x: i32, %w: i32, %acc: i32):
    loop.yield %acc : i32
  }
}
