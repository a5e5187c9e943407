// RUN: mlc opt %s --split-input-file -p 'place-scratch' | filecheck %s

// place-scratch: scratch holds one tile of the shared loops.

// Four rows at a time.

// CHECK-LABEL: loop.kernel @rows shared <"i/4"> {
// CHECK-NEXT:  ^bb0(%x: memref<64x128xf32>, %y: memref<64x128xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<4xf32>
// CHECK-NEXT:    loop.compute ins(%x : memref<64x128xf32>) outs(%t : memref<4xf32>) dims <"i=64 r=128:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
// CHECK-NEXT:    loop.compute ins(%x, %t : memref<64x128xf32>, memref<4xf32>) outs(%y : memref<64x128xf32>) dims <"i=64 j=128"> maps [#loop.map<"i, j">, #loop.map<"i">, #loop.map<"i, j">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32, %s_1: f32):
// CHECK-NEXT:      %n = arith.divf %e, %s_1 : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @rows shared <"i/4"> {
^bb0(%x: memref<64x128xf32>, %y: memref<64x128xf32>):
  %t = loop.scratch : memref<64xf32>
  loop.compute ins(%x : memref<64x128xf32>) outs(%t : memref<64xf32>) dims <"i=64 r=128:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
  loop.compute ins(%x, %t : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) dims <"i=64 j=128"> maps [#loop.map<"i, j">, #loop.map<"i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32, %s: f32):
    %n = arith.divf %e, %s : f32
    loop.yield %n : f32
  }
}

// -----

// Without shared loops it holds everything.

// CHECK-LABEL: loop.kernel @rows {
// CHECK-NEXT:  ^bb0(%x: memref<64x128xf32>, %y: memref<64x128xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<64xf32>
// CHECK-NEXT:    loop.compute ins(%x : memref<64x128xf32>) outs(%t : memref<64xf32>) dims <"i=64 r=128:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
// CHECK-NEXT:    loop.compute ins(%x, %t : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) dims <"i=64 j=128"> maps [#loop.map<"i, j">, #loop.map<"i">, #loop.map<"i, j">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32, %s_1: f32):
// CHECK-NEXT:      %n = arith.divf %e, %s_1 : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @rows {
^bb0(%x: memref<64x128xf32>, %y: memref<64x128xf32>):
  %t = loop.scratch : memref<64xf32>
  loop.compute ins(%x : memref<64x128xf32>) outs(%t : memref<64xf32>) dims <"i=64 r=128:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
  loop.compute ins(%x, %t : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) dims <"i=64 j=128"> maps [#loop.map<"i, j">, #loop.map<"i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32, %s: f32):
    %n = arith.divf %e, %s : f32
    loop.yield %n : f32
  }
}
