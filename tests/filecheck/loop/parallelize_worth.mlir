// RUN: mlc opt %s -p 'split,nest,parallelize{threads=2 target="x86-64-v3" handout=100}' | filecheck %s
// RUN: mlc opt %s -p 'split,nest,parallelize{threads=2 target="x86-64-v3" handout=100000}' | filecheck %s --check-prefix=COSTLY
// RUN: mlc opt %s -p 'split,nest,parallelize{threads=1 target="x86-64-v3" handout=100000}' | filecheck %s --check-prefix=ALL

// Kernels that save less than a few hand-outs become one tile, which one thread runs.

// CHECK-LABEL: loop.kernel @small
// CHECK:         loop.parallel 0 : index + 1 : index of 1 : index {
// CHECK:           loop.for 2 : index
// CHECK-LABEL: loop.kernel @large
// CHECK:         loop.parallel 0 : index + 100 : index of 100 : index

// COSTLY-LABEL: loop.kernel @small
// COSTLY:         loop.parallel 0 : index + 1 : index of 1 : index {
// COSTLY-LABEL: loop.kernel @large
// COSTLY:         loop.parallel 0 : index + 1 : index of 1 : index {

// ALL-LABEL: loop.kernel @small
// ALL:         loop.parallel 0 : index + 2 : index of 2 : index
// ALL-LABEL: loop.kernel @large
// ALL:         loop.parallel 0 : index + 100 : index of 100 : index

loop.kernel @small {
^bb0(%x: memref<14x16xf32>, %y: memref<14x16xf32>):
  loop.compute ins(%x : memref<14x16xf32>) outs(%y : memref<14x16xf32>) dims <"i=14 j=16"> schedule <"i/7 j/8 i* j@8"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

loop.kernel @large {
^bb0(%x: memref<700x64xf32>, %y: memref<700x64xf32>):
  loop.compute ins(%x : memref<700x64xf32>) outs(%y : memref<700x64xf32>) dims <"i=700 j=64"> schedule <"i/7 j/8 i* j@8"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}
