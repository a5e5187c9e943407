// RUN: mlc opt %s --split-input-file -p 'collapse' | filecheck %s

// collapse: neighbouring dims that all operands walk as one become one.

// Two dims of a dense copy; the dim of extent 1 goes away.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x1x6xf32>, %y: memref<4x6xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4x1x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=24"> maps [#loop.map<"i//6, 0, i%6">, #loop.map<"i//6, i%6">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %n = arith.negf %e : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4x1x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x1x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 u=1 j=6"> maps [#loop.map<"i, u, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// Not where one operand is transposed.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<6x4xf32>, %y: memref<4x6xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<6x4xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"j, i">, #loop.map<"i, j">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %n = arith.negf %e : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<6x4xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<6x4xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"j, i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// Reduction dims join reduction dims only.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x6x8xf32>, %y: memref<4xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4x6x8xf32>) outs(%y : memref<4xf32>) dims <"i=4 r=48:r"> maps [#loop.map<"i, r//8, r%8">, #loop.map<"i">] init {
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
^bb0(%x: memref<4x6x8xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4x6x8xf32>) outs(%y : memref<4xf32>) dims <"i=4 r=6:r s=8:r"> maps [#loop.map<"i, r, s">, #loop.map<"i">] init {
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

// Not where the code asks for the value of a dim.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %i = loop.index "j" : i64
// CHECK-NEXT:      %f = arith.sitofp %i : i64 to f32
// CHECK-NEXT:      loop.yield %f : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %i = loop.index "j" : i64
    %f = arith.sitofp %i : i64 to f32
    loop.yield %f : f32
  }
}
