// RUN: mlc opt %s --split-input-file -p 'split' | filecheck %s

// split: maps become byte coefficients of the schedule's levels.

// Loops, register axes and lanes of a product.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(1)"> reach [#loop.reach<"0 | m/7:21504 k/4:16 k*:4 m*:3072">, #loop.reach<"0 | n/32:128 k/4:12288 k*:3072 n*:64 n@:4">, #loop.reach<"0 | n/32:128 n*:64 n@:4">, #loop.reach<"0 | n/32:128 m/7:21504 m*:3072 n*:64 n@:4">] init {
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
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(1)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// A blocked result: whole vectors may be written.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<5x19xf32>, %y: memref<3x5x8xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<5x19xf32>) outs(%y : memref<3x5x8xf32>) dims <"a=5 b=19"> schedule <"b/8 a/2 a* b@8"> reach [#loop.reach<"0 | b/8:32 a/2:152 a*:76 b@:4">, #loop.reach<"0 | b/8:160 a/2:64 a*:32 b@:4 | full">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      loop.yield %e : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<5x19xf32>, %y: memref<3x5x8xf32>):
  loop.compute ins(%x : memref<5x19xf32>) outs(%y : memref<3x5x8xf32>) dims <"a=5 b=19"> schedule <"b/8 a/2 a* b@8"> maps [#loop.map<"a, b">, #loop.map<"b//8, a, b%8">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// Windows, steps and reversal.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<30xf32>, %y: memref<9xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<30xf32>) outs(%y : memref<9xf32>) dims <"a=9 r=3:r"> schedule <"a/3 r* a*"> reach [#loop.reach<"4 | a/3:36 r*:4 a*:12">, #loop.reach<"32 | a/3:-12 a*:-4">] init {
// CHECK-NEXT:    ^bb0(%a: f32):
// CHECK-NEXT:      %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero : f32
// CHECK-NEXT:    } map {
// CHECK-NEXT:    ^bb0(%a_1: f32):
// CHECK-NEXT:      loop.yield %a_1 : f32
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    ^bb0(%p: f32, %q: f32):
// CHECK-NEXT:      %s = arith.addf %p, %q : f32
// CHECK-NEXT:      loop.yield %s : f32
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%a_2: f32, %acc: f32):
// CHECK-NEXT:      loop.yield %acc : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<30xf32>, %y: memref<9xf32>):
  loop.compute ins(%x : memref<30xf32>) outs(%y : memref<9xf32>) dims <"a=9 r=3:r"> schedule <"a/3 r* a*"> maps [#loop.map<"a*3 + r + 1">, #loop.map<"-a + 8">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%a: f32):
    loop.yield %a : f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %acc: f32):
    loop.yield %acc : f32
  }
}

// -----

// Scratch is not moved by the shared loops.

// CHECK-LABEL: loop.kernel @k shared <"i/2"> {
// CHECK-NEXT:  ^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<2x4xf32>
// CHECK-NEXT:    loop.compute ins(%x : memref<8x4xf32>) outs(%t : memref<2x4xf32>) dims <"i=8 j=4"> schedule <"i* j@4"> reach [#loop.reach<"0 | i/2:32 i*:16 j@:4">, #loop.reach<"0 | i*:16 j@:4">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %n = arith.negf %e : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.compute ins(%t : memref<2x4xf32>) outs(%y : memref<8x4xf32>) dims <"i=8 j=4"> schedule <"i* j@4"> reach [#loop.reach<"0 | i*:16 j@:4">, #loop.reach<"0 | i/2:32 i*:16 j@:4">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e_1: f32):
// CHECK-NEXT:      loop.yield %e_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k shared <"i/2"> {
^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
  %t = loop.scratch : memref<2x4xf32>
  loop.compute ins(%x : memref<8x4xf32>) outs(%t : memref<2x4xf32>) dims <"i=8 j=4"> schedule <"i* j@4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
  loop.compute ins(%t : memref<2x4xf32>) outs(%y : memref<8x4xf32>) dims <"i=8 j=4"> schedule <"i* j@4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}
