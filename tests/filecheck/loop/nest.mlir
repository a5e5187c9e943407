// RUN: mlc opt %s --split-input-file -p 'split,select-rows,nest' | filecheck %s

// nest: computes become loops around register tiles, one nest per run of equal tiles.

// A product with a remainder of rows and of columns.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<17x8xf32>, %b: memref<8x20xf32>, %bias: memref<20xf32>, %c: memref<17x20xf32>):
// CHECK-NEXT:    loop.for 2 : index attributes {dim = "0:m/7"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      %1 = loop.tile() ivs(%0) axes <"m=7 n=2 n@8"> access [] -> !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32> {
// CHECK-NEXT:        %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %2 = loop.for 2 : index carry(%1 : !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32>) -> !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32> attributes {dim = "0:k/4"} {
// CHECK-NEXT:      ^bb0(%3: index, %4: !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32>):
// CHECK-NEXT:        %5 = loop.tile(%a, %b : memref<17x8xf32>, memref<8x20xf32>) tiles(%4 : !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32>) ivs(%0, %3) axes <"k=4:r m=7 n=2 n@8"> access [#loop.access<"0 | 224 16 | k:4 m:32">, #loop.access<"0 | 0 320 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32> {
// CHECK-NEXT:        ^bb0(%6: f32, %7: f32, %8: f32):
// CHECK-NEXT:          %t = math.fma %6, %7, %8 : f32
// CHECK-NEXT:          loop.yield %t : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield %5 : !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32>
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile(%bias : memref<20xf32>) tiles(%2 : !loop.tile<#loop.axes<"m=7 n=2 n@8">, f32>) ivs(%0) outs(%c : memref<17x20xf32>) axes <"m=7 n=2 n@8"> access [#loop.access<"0 | 0 | n:32 n@:4">, #loop.access<"0 | 560 | m:80 n:32 n@:4">] {
// CHECK-NEXT:      ^bb0(%9: f32, %10: f32):
// CHECK-NEXT:        %y = arith.addf %10, %9 : f32
// CHECK-NEXT:        loop.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    %11 = loop.tile() axes <"m=3 n=2 n@8"> access [] -> !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32> {
// CHECK-NEXT:      %zero_1 = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %12 = loop.for 2 : index carry(%11 : !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32>) -> !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32> attributes {dim = "0:k/4"} {
// CHECK-NEXT:    ^bb0(%13: index, %14: !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32>):
// CHECK-NEXT:      %15 = loop.tile(%a, %b : memref<17x8xf32>, memref<8x20xf32>) tiles(%14 : !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32>) ivs(%13) axes <"k=4:r m=3 n=2 n@8"> access [#loop.access<"448 | 16 | k:4 m:32">, #loop.access<"0 | 320 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32> {
// CHECK-NEXT:      ^bb0(%16: f32, %17: f32, %18: f32):
// CHECK-NEXT:        %t_1 = math.fma %16, %17, %18 : f32
// CHECK-NEXT:        loop.yield %t_1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield %15 : !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32>
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.tile(%bias : memref<20xf32>) tiles(%12 : !loop.tile<#loop.axes<"m=3 n=2 n@8">, f32>) outs(%c : memref<17x20xf32>) axes <"m=3 n=2 n@8"> access [#loop.access<"0 |  | n:32 n@:4">, #loop.access<"1120 |  | m:80 n:32 n@:4">] {
// CHECK-NEXT:    ^bb0(%19: f32, %20: f32):
// CHECK-NEXT:      %y_1 = arith.addf %20, %19 : f32
// CHECK-NEXT:      loop.yield %y_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.for 2 : index attributes {dim = "0:m/7"} {
// CHECK-NEXT:    ^bb0(%21: index):
// CHECK-NEXT:      %22 = loop.tile() ivs(%21) axes <"m=7 n=1 n@8"> access [] -> !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:        %zero_2 = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero_2 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %23 = loop.for 2 : index carry(%22 : !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32>) -> !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32> attributes {dim = "0:k/4"} {
// CHECK-NEXT:      ^bb0(%24: index, %25: !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32>):
// CHECK-NEXT:        %26 = loop.tile(%a, %b : memref<17x8xf32>, memref<8x20xf32>) tiles(%25 : !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32>) ivs(%21, %24) axes <"k=4:r m=7 n=1 n@8"> access [#loop.access<"0 | 224 16 | k:4 m:32">, #loop.access<"64 | 0 320 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:        ^bb0(%27: f32, %28: f32, %29: f32):
// CHECK-NEXT:          %t_2 = math.fma %27, %28, %29 : f32
// CHECK-NEXT:          loop.yield %t_2 : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield %26 : !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32>
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile(%bias : memref<20xf32>) tiles(%23 : !loop.tile<#loop.axes<"m=7 n=1 n@8">, f32>) ivs(%21) outs(%c : memref<17x20xf32>) axes <"m=7 n=1 n@8"> access [#loop.access<"64 | 0 | n:32 n@:4">, #loop.access<"64 | 560 | m:80 n:32 n@:4">] attributes {tail = "n:4"} {
// CHECK-NEXT:      ^bb0(%30: f32, %31: f32):
// CHECK-NEXT:        %y_2 = arith.addf %31, %30 : f32
// CHECK-NEXT:        loop.yield %y_2 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    %32 = loop.tile() axes <"m=3 n=1 n@8"> access [] -> !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:      %zero_3 = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero_3 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %33 = loop.for 2 : index carry(%32 : !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32>) -> !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32> attributes {dim = "0:k/4"} {
// CHECK-NEXT:    ^bb0(%34: index, %35: !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32>):
// CHECK-NEXT:      %36 = loop.tile(%a, %b : memref<17x8xf32>, memref<8x20xf32>) tiles(%35 : !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32>) ivs(%34) axes <"k=4:r m=3 n=1 n@8"> access [#loop.access<"448 | 16 | k:4 m:32">, #loop.access<"64 | 320 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:      ^bb0(%37: f32, %38: f32, %39: f32):
// CHECK-NEXT:        %t_3 = math.fma %37, %38, %39 : f32
// CHECK-NEXT:        loop.yield %t_3 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield %36 : !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32>
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.tile(%bias : memref<20xf32>) tiles(%33 : !loop.tile<#loop.axes<"m=3 n=1 n@8">, f32>) outs(%c : memref<17x20xf32>) axes <"m=3 n=1 n@8"> access [#loop.access<"64 |  | n:32 n@:4">, #loop.access<"1184 |  | m:80 n:32 n@:4">] attributes {tail = "n:4"} {
// CHECK-NEXT:    ^bb0(%40: f32, %41: f32):
// CHECK-NEXT:      %y_3 = arith.addf %41, %40 : f32
// CHECK-NEXT:      loop.yield %y_3 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<17x8xf32>, %b: memref<8x20xf32>, %bias: memref<20xf32>, %c: memref<17x20xf32>):
  loop.compute ins(%a, %b, %bias : memref<17x8xf32>, memref<8x20xf32>, memref<20xf32>) outs(%c : memref<17x20xf32>) dims <"m=17 n=20 k=8:r"> schedule <"n/16 m/7 k/4 k* m* n* n@8"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// Balanced loops have tiles of two sizes instead of a remainder.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<18x8xf32>, %b: memref<8x20xf32>, %bias: memref<20xf32>, %c: memref<18x20xf32>):
// CHECK-NEXT:    loop.for 3 : index attributes {dim = "0:m/7"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      %1 = loop.tile() ivs(%0) axes <"m=6 n=2 n@8"> access [] -> !loop.tile<#loop.axes<"m=6 n=2 n@8">, f32> {
// CHECK-NEXT:        %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %2 = loop.tile(%a, %b : memref<18x8xf32>, memref<8x20xf32>) tiles(%1 : !loop.tile<#loop.axes<"m=6 n=2 n@8">, f32>) ivs(%0) axes <"k=8:r m=6 n=2 n@8"> access [#loop.access<"0 | 192 | k:4 m:32">, #loop.access<"0 | 0 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=6 n=2 n@8">, f32> {
// CHECK-NEXT:      ^bb0(%3: f32, %4: f32, %5: f32):
// CHECK-NEXT:        %t = math.fma %3, %4, %5 : f32
// CHECK-NEXT:        loop.yield %t : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile(%bias : memref<20xf32>) tiles(%2 : !loop.tile<#loop.axes<"m=6 n=2 n@8">, f32>) ivs(%0) outs(%c : memref<18x20xf32>) axes <"m=6 n=2 n@8"> access [#loop.access<"0 | 0 | n:32 n@:4">, #loop.access<"0 | 480 | m:80 n:32 n@:4">] {
// CHECK-NEXT:      ^bb0(%6: f32, %7: f32):
// CHECK-NEXT:        %y = arith.addf %7, %6 : f32
// CHECK-NEXT:        loop.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.for 3 : index attributes {dim = "0:m/7"} {
// CHECK-NEXT:    ^bb0(%8: index):
// CHECK-NEXT:      %9 = loop.tile() ivs(%8) axes <"m=6 n=1 n@8"> access [] -> !loop.tile<#loop.axes<"m=6 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:        %zero_1 = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero_1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %10 = loop.tile(%a, %b : memref<18x8xf32>, memref<8x20xf32>) tiles(%9 : !loop.tile<#loop.axes<"m=6 n=1 n@8">, f32>) ivs(%8) axes <"k=8:r m=6 n=1 n@8"> access [#loop.access<"0 | 192 | k:4 m:32">, #loop.access<"64 | 0 | k:80 n:32 n@:4">] -> !loop.tile<#loop.axes<"m=6 n=1 n@8">, f32> attributes {tail = "n:4"} {
// CHECK-NEXT:      ^bb0(%11: f32, %12: f32, %13: f32):
// CHECK-NEXT:        %t_1 = math.fma %11, %12, %13 : f32
// CHECK-NEXT:        loop.yield %t_1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile(%bias : memref<20xf32>) tiles(%10 : !loop.tile<#loop.axes<"m=6 n=1 n@8">, f32>) ivs(%8) outs(%c : memref<18x20xf32>) axes <"m=6 n=1 n@8"> access [#loop.access<"64 | 0 | n:32 n@:4">, #loop.access<"64 | 480 | m:80 n:32 n@:4">] attributes {tail = "n:4"} {
// CHECK-NEXT:      ^bb0(%14: f32, %15: f32):
// CHECK-NEXT:        %y_1 = arith.addf %15, %14 : f32
// CHECK-NEXT:        loop.yield %y_1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<18x8xf32>, %b: memref<8x20xf32>, %bias: memref<20xf32>, %c: memref<18x20xf32>):
  loop.compute ins(%a, %b, %bias : memref<18x8xf32>, memref<8x20xf32>, memref<20xf32>) outs(%c : memref<18x20xf32>) dims <"m=18 n=20 k=8:r"> schedule <"n/16 m/~7 k* m* n* n@8"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// Lanes and registers along the reduction: accumulators are merged at the end.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<6x40xf32>, %y: memref<6xf32>):
// CHECK-NEXT:    loop.for 6 : index attributes {dim = "0:a/1"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      %1 = loop.tile() ivs(%0) axes <"r=2:a r@8"> access [] -> !loop.tile<#loop.axes<"r=2:a r@8">, f32> {
// CHECK-NEXT:        %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %2 = loop.for 2 : index carry(%1 : !loop.tile<#loop.axes<"r=2:a r@8">, f32>) -> !loop.tile<#loop.axes<"r=2:a r@8">, f32> attributes {dim = "0:r/16"} {
// CHECK-NEXT:      ^bb0(%3: index, %4: !loop.tile<#loop.axes<"r=2:a r@8">, f32>):
// CHECK-NEXT:        %5 = loop.tile(%x : memref<6x40xf32>) tiles(%4 : !loop.tile<#loop.axes<"r=2:a r@8">, f32>) ivs(%0, %3) axes <"r=2:a r@8"> access [#loop.access<"0 | 160 64 | r:32 r@:4">] -> !loop.tile<#loop.axes<"r=2:a r@8">, f32> {
// CHECK-NEXT:        ^bb0(%6: f32, %7: f32):
// CHECK-NEXT:          %s = arith.addf %7, %6 : f32
// CHECK-NEXT:          loop.yield %s : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield %5 : !loop.tile<#loop.axes<"r=2:a r@8">, f32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %8 = loop.tile(%x : memref<6x40xf32>) tiles(%2 : !loop.tile<#loop.axes<"r=2:a r@8">, f32>) ivs(%0) axes <"r=1:a r@8"> access [#loop.access<"128 | 160 | r:32 r@:4">] -> !loop.tile<#loop.axes<"r=2:a r@8">, f32> {
// CHECK-NEXT:      ^bb0(%9: f32, %10: f32):
// CHECK-NEXT:        %s_1 = arith.addf %10, %9 : f32
// CHECK-NEXT:        loop.yield %s_1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %11 = loop.merge(%8 : !loop.tile<#loop.axes<"r=2:a r@8">, f32>) axes <"r=2:a r@8"> -> !loop.tile<#loop.axes<"">, f32> {
// CHECK-NEXT:      ^bb0(%p: f32, %q: f32):
// CHECK-NEXT:        %s_2 = arith.addf %p, %q : f32
// CHECK-NEXT:        loop.yield %s_2 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile() tiles(%11 : !loop.tile<#loop.axes<"">, f32>) ivs(%0) outs(%y : memref<6xf32>) axes <""> access [#loop.access<"0 | 4 | ">] {
// CHECK-NEXT:      ^bb0(%12: f32):
// CHECK-NEXT:        loop.yield %12 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<6x40xf32>, %y: memref<6xf32>):
  loop.compute ins(%x : memref<6x40xf32>) outs(%y : memref<6xf32>) dims <"a=6 r=40:r"> schedule <"a/1 r/16 r+ r@8"> maps [#loop.map<"a, r">, #loop.map<"a">] init {
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

// The kernel's shared loops stand around all of its computes.

// CHECK-LABEL: loop.kernel @k shared <"i/2"> {
// CHECK-NEXT:  ^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<2x4xf32>
// CHECK-NEXT:    loop.for 4 : index attributes {dim = "i/2"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.tile(%x : memref<8x4xf32>) ivs(%0) outs(%t : memref<2x4xf32>) axes <"i=2 j@4"> access [#loop.access<"0 | 32 | i:16 j@:4">, #loop.access<"0 | 0 | i:16 j@:4">] {
// CHECK-NEXT:      ^bb0(%1: f32):
// CHECK-NEXT:        %n = arith.negf %1 : f32
// CHECK-NEXT:        loop.yield %n : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile(%t : memref<2x4xf32>) ivs(%0) outs(%y : memref<8x4xf32>) axes <"i=2 j@4"> access [#loop.access<"0 | 0 | i:16 j@:4">, #loop.access<"0 | 32 | i:16 j@:4">] {
// CHECK-NEXT:      ^bb0(%2: f32):
// CHECK-NEXT:        loop.yield %2 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
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
