// RUN: mlc opt %s --split-input-file -p 'find-inplace' | filecheck %s

// find-inplace: which operand may lie where the result goes.

// The operand added at the end, read where the result is written; not the factors.

// CHECK-LABEL: loop.kernel @gemm attributes {inplace = [array<i64: 2, 3>], weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<128x768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<128x768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">, #loop.map<"m, n">] init {
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
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<128x768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<128x768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">, #loop.map<"m, n">] init {
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

// Not an operand that is read elsewhere too.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4xf32>) outs(%y : memref<4xf32>) dims <"i=4"> maps [#loop.map<"-i + 3">, #loop.map<"i">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %n = arith.negf %e : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4xf32>) outs(%y : memref<4xf32>) dims <"i=4"> maps [#loop.map<"-i + 3">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}
