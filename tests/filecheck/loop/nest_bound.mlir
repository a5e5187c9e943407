// RUN: mlc opt %s --split-input-file -p 'split,select-rows,nest,parallelize' | filecheck %s

// nest: levels bound to blocks and threads of a GPU become parallel loops, also around a single last tile.

// Seventy rows: one whole block of 64 and a last one of 6, each thread with up to four rows.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<70xf32>, %y: memref<70xf32>):
// CHECK-NEXT:    loop.parallel 0 : index + 1 : index of 2 : index on "block.x" {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.parallel 0 : index + 16 : index of 16 : index on "thread.x" {
// CHECK-NEXT:      ^bb0(%1: index):
// CHECK-NEXT:        loop.tile(%x : memref<70xf32>) ivs(%0, %1) outs(%y : memref<70xf32>) axes <"i=4"> access [#loop.access<"0 | 256 16 | i:4">, #loop.access<"0 | 256 16 | i:4">] {
// CHECK-NEXT:        ^bb0(%2: f32):
// CHECK-NEXT:          %n = arith.negf %2 : f32
// CHECK-NEXT:          loop.yield %n : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.parallel 1 : index + 1 : index of 2 : index on "block.x" {
// CHECK-NEXT:    ^bb0(%3: index):
// CHECK-NEXT:      loop.parallel 0 : index + 1 : index of 2 : index on "thread.x" {
// CHECK-NEXT:      ^bb0(%4: index):
// CHECK-NEXT:        loop.tile(%x : memref<70xf32>) ivs(%3, %4) outs(%y : memref<70xf32>) axes <"i=4"> access [#loop.access<"256 | 24 16 | i:4">, #loop.access<"256 | 24 16 | i:4">] {
// CHECK-NEXT:        ^bb0(%5: f32):
// CHECK-NEXT:          %n_1 = arith.negf %5 : f32
// CHECK-NEXT:          loop.yield %n_1 : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.parallel 1 : index + 1 : index of 2 : index on "thread.x" {
// CHECK-NEXT:      ^bb0(%6: index):
// CHECK-NEXT:        loop.tile(%x : memref<70xf32>) ivs(%3, %6) outs(%y : memref<70xf32>) axes <"i=2"> access [#loop.access<"272 | 24 8 | i:4">, #loop.access<"272 | 24 8 | i:4">] {
// CHECK-NEXT:        ^bb0(%7: f32):
// CHECK-NEXT:          %n_2 = arith.negf %7 : f32
// CHECK-NEXT:          loop.yield %n_2 : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<70xf32>, %y: memref<70xf32>):
  loop.compute ins(%x : memref<70xf32>) outs(%y : memref<70xf32>) dims <"i=70"> schedule <"i/64:block.x i/4:thread.x i*"> maps [#loop.map<"i">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// Shared loops may be bound as well.

// CHECK-LABEL: loop.kernel @k shared <"i/1:thread.x"> {
// CHECK-NEXT:  ^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<1x4xf32>
// CHECK-NEXT:    loop.parallel 0 : index + 8 : index of 8 : index on "thread.x" {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.for 4 : index attributes {dim = "0:j/1"} {
// CHECK-NEXT:      ^bb0(%1: index):
// CHECK-NEXT:        loop.tile(%x : memref<8x4xf32>) ivs(%0, %1) outs(%t : memref<1x4xf32>) axes <""> access [#loop.access<"0 | 16 4 | ">, #loop.access<"0 | 0 4 | ">] {
// CHECK-NEXT:        ^bb0(%2: f32):
// CHECK-NEXT:          %n = arith.negf %2 : f32
// CHECK-NEXT:          loop.yield %n : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.for 4 : index attributes {dim = "1:j/1"} {
// CHECK-NEXT:      ^bb0(%3: index):
// CHECK-NEXT:        loop.tile(%t : memref<1x4xf32>) ivs(%0, %3) outs(%y : memref<8x4xf32>) axes <""> access [#loop.access<"0 | 0 4 | ">, #loop.access<"0 | 16 4 | ">] {
// CHECK-NEXT:        ^bb0(%4: f32):
// CHECK-NEXT:          loop.yield %4 : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k shared <"i/1:thread.x"> {
^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
  %t = loop.scratch : memref<1x4xf32>
  loop.compute ins(%x : memref<8x4xf32>) outs(%t : memref<1x4xf32>) dims <"i=8 j=4"> schedule <"j/1"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
  loop.compute ins(%t : memref<1x4xf32>) outs(%y : memref<8x4xf32>) dims <"i=8 j=4"> schedule <"j/1"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}
