// RUN: mlc opt %s --split-input-file --verify-diagnostics -p 'split' | filecheck %s

// Loops of a compute go on below the steps of the shared loops.

// CHECK: [schedule_steps] loop i/2 is no smaller than the one around it
loop.kernel @k shared <"i/2"> {
^bb0(%x: memref<8x4xf32>, %y: memref<8x4xf32>):
  loop.compute ins(%x : memref<8x4xf32>) outs(%y : memref<8x4xf32>) dims <"i=8 j=4"> schedule <"i/2 i* j@4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}
