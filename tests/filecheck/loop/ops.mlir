// RUN: mlc opt %s --split-input-file | filecheck %s
// RUN: mlc opt %s --split-input-file --print-op-generic | mlc opt --split-input-file | filecheck %s

// Every operation of the dialect prints as it was written.

// Kernels: arguments, shared loops, weights.

// CHECK-LABEL: loop.kernel @empty {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>):
// CHECK-NEXT:  }
// CHECK-NEXT:  loop.kernel @shared shared <"r/4 c/~2"> attributes {weights = array<i64: 0>} {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
// CHECK-NEXT:  }
// CHECK-NEXT:  loop.kernel @checked attributes {checked} {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>, %status: memref<1xi32>):
// CHECK-NEXT:  }
loop.kernel @empty {
^bb0(%x: memref<4xf32>):
}
loop.kernel @shared shared <"r/4 c/~2"> attributes {weights = array<i64: 0>} {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>):
}
loop.kernel @checked attributes {checked} {
^bb0(%x: memref<4xf32>, %status: memref<1xi32>):
}

// -----

// Scratch: plain, and a constant table.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>):
// CHECK-NEXT:    %s = loop.scratch : memref<12x128xf32>
// CHECK-NEXT:    %t = loop.scratch table <"1.0 0.0 -1.0"> : memref<3xf32>
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4xf32>):
  %s = loop.scratch : memref<12x128xf32>
  %t = loop.scratch table <"1.0 0.0 -1.0"> : memref<3xf32>
}

// -----

// A compute with a reduction and a schedule.

// CHECK-LABEL: loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
// CHECK-NEXT:  ^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
// CHECK-NEXT:    loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(1) prefetch(1) group(2)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(1) prefetch(1) group(2)"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
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

// Elements of the map that are stored too, and operands addressed by values from memory.

// CHECK-LABEL: loop.kernel @k attributes {checked} {
// CHECK-NEXT:  ^bb0(%x: memref<512x8xf32>, %i: memref<6xi64>, %y: memref<6xf32>, %e: memref<6x8xf32>, %status: memref<1xi32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<512x8xf32>) outs(%y : memref<6xf32>) elems(%e : memref<6x8xf32>) subscripts(%i : memref<6xi64>) dims <"a=6 b=8:r"> maps [#loop.map<"@0[512], b">, #loop.map<"a">, #loop.map<"a, b">, #loop.map<"a">] init {
// CHECK-NEXT:    ^bb0(%v: f32):
// CHECK-NEXT:      %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:      loop.yield %zero : f32
// CHECK-NEXT:    } map {
// CHECK-NEXT:    ^bb0(%v_1: f32):
// CHECK-NEXT:      loop.yield %v_1, %v_1 : f32, f32
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    ^bb0(%p: f32, %q: f32):
// CHECK-NEXT:      %s = arith.addf %p, %q : f32
// CHECK-NEXT:      loop.yield %s : f32
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%v_2: f32, %acc: f32):
// CHECK-NEXT:      loop.yield %acc : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k attributes {checked} {
^bb0(%x: memref<512x8xf32>, %i: memref<6xi64>, %y: memref<6xf32>, %e: memref<6x8xf32>, %status: memref<1xi32>):
  loop.compute ins(%x : memref<512x8xf32>) outs(%y : memref<6xf32>) elems(%e : memref<6x8xf32>) subscripts(%i : memref<6xi64>) dims <"a=6 b=8:r"> maps [#loop.map<"@0[512], b">, #loop.map<"a">, #loop.map<"a, b">, #loop.map<"a">] init {
  ^bb1(%v: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%v: f32):
    loop.yield %v, %v : f32, f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%v: f32, %acc: f32):
    loop.yield %acc : f32
  }
}

// -----

// Index of a dim, ldexp and remainder.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<8xf32>, %y: memref<8xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<8xf32>) outs(%y : memref<8xf32>) dims <"a=8"> maps [#loop.map<"a">, #loop.map<"a">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%v: f32):
// CHECK-NEXT:      %i = loop.index "a" : i64
// CHECK-NEXT:      %f = arith.sitofp %i : i64 to f32
// CHECK-NEXT:      %l = loop.ldexp %v, %f within [-150, 0] : f32
// CHECK-NEXT:      %r = loop.remf %l, %v : f32
// CHECK-NEXT:      loop.yield %r : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<8xf32>, %y: memref<8xf32>):
  loop.compute ins(%x : memref<8xf32>) outs(%y : memref<8xf32>) dims <"a=8"> maps [#loop.map<"a">, #loop.map<"a">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%v: f32):
    %i = loop.index "a" : i64
    %f = arith.sitofp %i : i64 to f32
    %l = loop.ldexp %v, %f within [-150, 0] : f32
    %r = loop.remf %l, %v : f32
    loop.yield %r : f32
  }
}

// -----

// After split: byte coefficients by level instead of maps, whole vectors marked.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<5x19xf32>, %y: memref<5x3x8xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<5x19xf32>) outs(%y : memref<5x3x8xf32>) dims <"a=5 b=19"> schedule <"a/1 b/8 b@8"> reach [#loop.reach<"0 | a/1:76 b/8:32 b@:4">, #loop.reach<"0 | a/1:96 b/8:32 b@:4 | full">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%v: f32):
// CHECK-NEXT:      loop.yield %v : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<5x19xf32>, %y: memref<5x3x8xf32>):
  loop.compute ins(%x : memref<5x19xf32>) outs(%y : memref<5x3x8xf32>) dims <"a=5 b=19"> schedule <"a/1 b/8 b@8"> reach [#loop.reach<"0 | a/1:76 b/8:32 b@:4">, #loop.reach<"0 | a/1:96 b/8:32 b@:4 | full">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%v: f32):
    loop.yield %v : f32
  }
}

// -----

// Packs.

// CHECK-LABEL: loop.kernel @k attributes {weights = array<i64: 0>} {
// CHECK-NEXT:  ^bb0(%w: memref<8x20xf32>):
// CHECK-NEXT:    %p = loop.pack %w reach <"4 | n/16:64 k*:80 n@:4 @0[3]:640"> dims <"n=20 k=8:r"> schedule <"n/16 k* n@16"> : memref<8x20xf32> -> memref<2x8x16xf32>
// CHECK-NEXT:  }
loop.kernel @k attributes {weights = array<i64: 0>} {
^bb0(%w: memref<8x20xf32>):
  %p = loop.pack %w reach <"4 | n/16:64 k*:80 n@:4 @0[3]:640"> dims <"n=20 k=8:r"> schedule <"n/16 k* n@16"> : memref<8x20xf32> -> memref<2x8x16xf32>
}

// -----

// Loops and register tiles: carried tiles, a parallel loop, masked lanes, prefetching, merging.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<6x40xf32>, %y: memref<6xf32>):
// CHECK-NEXT:    loop.parallel 2 : index + 4 : index of 6 : index attributes {dim = "a/1"} {
// CHECK-NEXT:    ^bb0(%i: index):
// CHECK-NEXT:      %z = loop.tile() ivs(%i) axes <"b=2:a b@16"> access [] -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> {
// CHECK-NEXT:        %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:        loop.yield %zero : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %s = loop.for 2 : index carry(%z : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> {
// CHECK-NEXT:      ^bb0(%j: index, %t: !loop.tile<#loop.axes<"b=2:a b@16">, f32>):
// CHECK-NEXT:        loop.prefetch %x[%i, %j] <"256 | 160 128 | "> : memref<6x40xf32>
// CHECK-NEXT:        %u = loop.tile(%x : memref<6x40xf32>) tiles(%t : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) ivs(%i, %j) axes <"b=2:a b@16"> access [#loop.access<"320 | 160 128 | b:64 b@:4">] -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> attributes {group = 2 : i64, prefetch = array<i64: 0>, tail = "b:8:r"} {
// CHECK-NEXT:        ^bb0(%e: f32, %acc: f32):
// CHECK-NEXT:          %f = arith.addf %e, %acc : f32
// CHECK-NEXT:          loop.yield %f : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield %u : !loop.tile<#loop.axes<"b=2:a b@16">, f32>
// CHECK-NEXT:      }
// CHECK-NEXT:      %m = loop.merge(%s : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) axes <"b=2:a b@16"> -> !loop.tile<#loop.axes<"">, f32> {
// CHECK-NEXT:      ^bb0(%p: f32, %q: f32):
// CHECK-NEXT:        %r = arith.addf %p, %q : f32
// CHECK-NEXT:        loop.yield %r : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.tile() tiles(%m : !loop.tile<#loop.axes<"">, f32>) ivs(%i) outs(%y : memref<6xf32>) axes <""> access [#loop.access<"8 | 4 | ">] {
// CHECK-NEXT:      ^bb0(%v: f32):
// CHECK-NEXT:        loop.yield %v : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<6x40xf32>, %y: memref<6xf32>):
  loop.parallel 2 : index + 4 : index of 6 : index attributes {dim = "a/1"} {
  ^bb1(%i: index):
    %z = loop.tile() ivs(%i) axes <"b=2:a b@16"> access [] -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> {
      %zero = arith.constant 0.000000e+00 : f32
      loop.yield %zero : f32
    }
    %s = loop.for 2 : index carry(%z : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> {
    ^bb2(%j: index, %t: !loop.tile<#loop.axes<"b=2:a b@16">, f32>):
      loop.prefetch %x[%i, %j] <"256 | 160 128 | "> : memref<6x40xf32>
      %u = loop.tile(%x : memref<6x40xf32>) tiles(%t : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) ivs(%i, %j) axes <"b=2:a b@16"> access [#loop.access<"320 | 160 128 | b:64 b@:4">] -> !loop.tile<#loop.axes<"b=2:a b@16">, f32> attributes {group = 2 : i64, prefetch = array<i64: 0>, tail = "b:8:r"} {
      ^bb3(%e: f32, %acc: f32):
        %f = arith.addf %e, %acc : f32
        loop.yield %f : f32
      }
      loop.yield %u : !loop.tile<#loop.axes<"b=2:a b@16">, f32>
    }
    %m = loop.merge(%s : !loop.tile<#loop.axes<"b=2:a b@16">, f32>) axes <"b=2:a b@16"> -> !loop.tile<#loop.axes<"">, f32> {
    ^bb4(%p: f32, %q: f32):
      %r = arith.addf %p, %q : f32
      loop.yield %r : f32
    }
    loop.tile() tiles(%m : !loop.tile<#loop.axes<"">, f32>) ivs(%i) outs(%y : memref<6xf32>) axes <""> access [#loop.access<"8 | 4 | ">] {
    ^bb5(%v: f32):
      loop.yield %v : f32
    }
    loop.yield
  }
}

// -----

// Programs: constants, buffers with and without a place, views, the status word, calls.

// CHECK-LABEL: func.func @main(%x: memref<1x64xf32>, %y: memref<10xf32>) attributes {inputs = 1 : i64} {
// CHECK-NEXT:    %w = loop.constant #mlc.weight<"fc.weight", "0000000000000000000000000000000000000000000000000000000000000000"> : memref<64x10xf32>
// CHECK-NEXT:    %few = loop.constant dense<[1, 2]> : tensor<2xi64> : memref<2xi64>
// CHECK-NEXT:    %b = loop.buffer : memref<1x10xf32>
// CHECK-NEXT:    %c = loop.buffer at 128 : i64 : memref<10xf32>
// CHECK-NEXT:    %v = loop.view %b : memref<1x10xf32> -> memref<10xf32>
// CHECK-NEXT:    %s = loop.status : memref<1xi32>
// CHECK-NEXT:    loop.call @k0(%x, %w, %b : memref<1x64xf32>, memref<64x10xf32>, memref<1x10xf32>)
// CHECK-NEXT:    loop.call @k1(%v, %y, %s : memref<10xf32>, memref<10xf32>, memref<1xi32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }
func.func @main(%x: memref<1x64xf32>, %y: memref<10xf32>) attributes {inputs = 1 : i64} {
  %w = loop.constant #mlc.weight<"fc.weight", "0000000000000000000000000000000000000000000000000000000000000000"> : memref<64x10xf32>
  %few = loop.constant dense<[1, 2]> : tensor<2xi64> : memref<2xi64>
  %b = loop.buffer : memref<1x10xf32>
  %c = loop.buffer at 128 : i64 : memref<10xf32>
  %v = loop.view %b : memref<1x10xf32> -> memref<10xf32>
  %s = loop.status : memref<1xi32>
  loop.call @k0(%x, %w, %b : memref<1x64xf32>, memref<64x10xf32>, memref<1x10xf32>)
  loop.call @k1(%v, %y, %s : memref<10xf32>, memref<10xf32>, memref<1xi32>)
  func.return
}
