// RUN: mlc opt %s --split-input-file -p 'split,select-rows,nest,prefetch' | filecheck %s

// prefetch: the next panel of a packed operand, a few lines per iteration.

// Panels of 128 x 32 floats, used by four tiles of rows in 32 steps each.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x128xf32>, %b: memref<128x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    loop.for 24 : index attributes {dim = "0:n/32"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.for 4 : index attributes {dim = "0:m/32"} {
// CHECK-NEXT:      ^bb0(%1: index):
// CHECK-NEXT:        %2 = loop.tile() ivs(%0, %1) axes <"m=32 n=2 n@16"> access [] -> !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32> {
// CHECK-NEXT:          %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:          loop.yield %zero : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        %3 = loop.for 32 : index carry(%2 : !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32>) -> !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32> attributes {dim = "0:k/4"} {
// CHECK-NEXT:        ^bb0(%4: index, %5: !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32>):
// CHECK-NEXT:          loop.prefetch %b[%0, %1, %4] <"128 | 128 32 1 | "> : memref<128x768xf32>
// CHECK-NEXT:          %6 = loop.tile(%a, %b : memref<128x128xf32>, memref<128x768xf32>) tiles(%5 : !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32>) ivs(%0, %1, %4) axes <"k=4:r m=32 n=2 n@16"> access [#loop.access<"0 | 0 16384 16 | k:4 m:512">, #loop.access<"0 | 128 0 12288 | k:3072 n:64 n@:4">] -> !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32> attributes {prefetch = array<i64: 1>} {
// CHECK-NEXT:          ^bb0(%7: f32, %8: f32, %9: f32):
// CHECK-NEXT:            %t = math.fma %7, %8, %9 : f32
// CHECK-NEXT:            loop.yield %t : f32
// CHECK-NEXT:          }
// CHECK-NEXT:          loop.yield %6 : !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32>
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.tile(%bias : memref<768xf32>) tiles(%3 : !loop.tile<#loop.axes<"m=32 n=2 n@16">, f32>) ivs(%0, %1) outs(%c : memref<128x768xf32>) axes <"m=32 n=2 n@16"> access [#loop.access<"0 | 128 0 | n:64 n@:4">, #loop.access<"0 | 128 98304 | m:3072 n:64 n@:4">] {
// CHECK-NEXT:        ^bb0(%10: f32, %11: f32):
// CHECK-NEXT:          %y = arith.addf %11, %10 : f32
// CHECK-NEXT:          loop.yield %y : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x128xf32>, %b: memref<128x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x128xf32>, memref<128x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=128:r"> schedule <"n/32 m/32 k/4 k* m* n* n@16 prefetch(1)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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
