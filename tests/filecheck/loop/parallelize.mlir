// RUN: mlc opt %s --split-input-file -p 'split,nest,parallelize{threads=2}' | filecheck %s

// parallelize: one level of every nest is shared out among the threads.

// The outermost level where that balances; its runs, tiles of 7 and of 6, share one range.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<40x16xf32>, %y: memref<40x16xf32>):
// CHECK-NEXT:    loop.parallel 0 : index + 4 : index of 6 : index attributes {dim = "0:i/7"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.for 2 : index attributes {dim = "0:j/8"} {
// CHECK-NEXT:      ^bb0(%1: index):
// CHECK-NEXT:        loop.tile(%x : memref<40x16xf32>) ivs(%0, %1) outs(%y : memref<40x16xf32>) axes <"i=7 j@8"> access [#loop.access<"0 | 448 32 | i:64 j@:4">, #loop.access<"0 | 448 32 | i:64 j@:4">] {
// CHECK-NEXT:        ^bb0(%2: f32):
// CHECK-NEXT:          %n = arith.negf %2 : f32
// CHECK-NEXT:          loop.yield %n : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.parallel 4 : index + 2 : index of 6 : index attributes {dim = "0:i/7"} {
// CHECK-NEXT:    ^bb0(%3: index):
// CHECK-NEXT:      loop.for 2 : index attributes {dim = "0:j/8"} {
// CHECK-NEXT:      ^bb0(%4: index):
// CHECK-NEXT:        loop.tile(%x : memref<40x16xf32>) ivs(%3, %4) outs(%y : memref<40x16xf32>) axes <"i=6 j@8"> access [#loop.access<"1792 | 384 32 | i:64 j@:4">, #loop.access<"1792 | 384 32 | i:64 j@:4">] {
// CHECK-NEXT:        ^bb0(%5: f32):
// CHECK-NEXT:          %n_1 = arith.negf %5 : f32
// CHECK-NEXT:          loop.yield %n_1 : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<40x16xf32>, %y: memref<40x16xf32>):
  loop.compute ins(%x : memref<40x16xf32>) outs(%y : memref<40x16xf32>) dims <"i=40 j=16"> schedule <"i/~7 j/8 i* j@8"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// An inner level where that balances better.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<3x640xf32>, %y: memref<3x640xf32>):
// CHECK-NEXT:    loop.for 3 : index attributes {dim = "0:i/1"} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.parallel 0 : index + 80 : index of 80 : index attributes {dim = "0:j/8"} {
// CHECK-NEXT:      ^bb0(%1: index):
// CHECK-NEXT:        loop.tile(%x : memref<3x640xf32>) ivs(%0, %1) outs(%y : memref<3x640xf32>) axes <"j@8"> access [#loop.access<"0 | 2560 32 | j@:4">, #loop.access<"0 | 2560 32 | j@:4">] {
// CHECK-NEXT:        ^bb0(%2: f32):
// CHECK-NEXT:          %n = arith.negf %2 : f32
// CHECK-NEXT:          loop.yield %n : f32
// CHECK-NEXT:        }
// CHECK-NEXT:        loop.yield
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<3x640xf32>, %y: memref<3x640xf32>):
  loop.compute ins(%x : memref<3x640xf32>) outs(%y : memref<3x640xf32>) dims <"i=3 j=640"> schedule <"i/1 j/8 j@8"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// A nest without loops is one tile for one thread.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<8xf32>, %y: memref<8xf32>):
// CHECK-NEXT:    loop.parallel 0 : index + 1 : index of 1 : index {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.tile(%x : memref<8xf32>) outs(%y : memref<8xf32>) axes <"i@8"> access [#loop.access<"0 |  | i@:4">, #loop.access<"0 |  | i@:4">] {
// CHECK-NEXT:      ^bb0(%1: f32):
// CHECK-NEXT:        %n = arith.negf %1 : f32
// CHECK-NEXT:        loop.yield %n : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<8xf32>, %y: memref<8xf32>):
  loop.compute ins(%x : memref<8xf32>) outs(%y : memref<8xf32>) dims <"i=8"> schedule <"i@8"> maps [#loop.map<"i">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}
