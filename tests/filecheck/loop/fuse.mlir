// RUN: mlc opt %s --split-input-file -p 'fuse' | filecheck %s

// fuse: computes that hand values through scratch become one.

// An element-wise producer moves into its reader, its index composed with the reader's.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x6xf32>, %y: memref<6x4xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<6x4xf32>) dims <"p=6 q=4"> maps [#loop.map<"q, p">, #loop.map<"p, q">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%0: f32):
// CHECK-NEXT:      %n = arith.negf %0 : f32
// CHECK-NEXT:      %m = arith.mulf %n, %n : f32
// CHECK-NEXT:      loop.yield %m : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<6x4xf32>):
  %t = loop.scratch : memref<4x6xf32>
  loop.compute ins(%x : memref<4x6xf32>) outs(%t : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
  loop.compute ins(%t : memref<4x6xf32>) outs(%y : memref<6x4xf32>) dims <"p=6 q=4"> maps [#loop.map<"q, p">, #loop.map<"p, q">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %m = arith.mulf %e, %e : f32
    loop.yield %m : f32
  }
}

// -----

// A producer with two readers moves into both.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4xf32>) outs(%y : memref<4xf32>) dims <"p=4"> maps [#loop.map<"p">, #loop.map<"p">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%0: f32):
// CHECK-NEXT:      %n = arith.negf %0 : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    loop.compute ins(%x : memref<4xf32>) outs(%z : memref<4xf32>) dims <"p=4"> maps [#loop.map<"-p + 3">, #loop.map<"p">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%1: f32):
// CHECK-NEXT:      %n_1 = arith.negf %1 : f32
// CHECK-NEXT:      loop.yield %n_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>):
  %t = loop.scratch : memref<4xf32>
  loop.compute ins(%x : memref<4xf32>) outs(%t : memref<4xf32>) dims <"i=4"> maps [#loop.map<"i">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
  loop.compute ins(%t : memref<4xf32>) outs(%y : memref<4xf32>) dims <"p=4"> maps [#loop.map<"p">, #loop.map<"p">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
  loop.compute ins(%t : memref<4xf32>) outs(%z : memref<4xf32>) dims <"p=4"> maps [#loop.map<"-p + 3">, #loop.map<"p">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// An element-wise reader of all of a reduction moves into its finish, also through a reshape.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x6x8xf32>, %y: memref<24xf32>):
// CHECK-NEXT:    loop.compute ins(%x : memref<4x6x8xf32>) outs(%y : memref<24xf32>) dims <"i=4 j=6 r=8:r"> maps [#loop.map<"i, j, r">, #loop.map<"i*6 + j">] init {
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
// CHECK-NEXT:      %n = arith.negf %acc : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4x6x8xf32>, %y: memref<24xf32>):
  %t = loop.scratch : memref<4x6xf32>
  loop.compute ins(%x : memref<4x6x8xf32>) outs(%t : memref<4x6xf32>) dims <"i=4 j=6 r=8:r"> maps [#loop.map<"i, j, r">, #loop.map<"i, j">] init {
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
  loop.compute ins(%t : memref<4x6xf32>) outs(%y : memref<24xf32>) dims <"p=24"> maps [#loop.map<"p//6, p%6">, #loop.map<"p">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// -----

// A reader of half of a reduction stays apart.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<4x6xf32>, %y: memref<2xf32>):
// CHECK-NEXT:    %t = loop.scratch : memref<4xf32>
// CHECK-NEXT:    loop.compute ins(%x : memref<4x6xf32>) outs(%t : memref<4xf32>) dims <"i=4 r=6:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
// CHECK-NEXT:    loop.compute ins(%t : memref<4xf32>) outs(%y : memref<2xf32>) dims <"p=2"> maps [#loop.map<"p">, #loop.map<"p">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32):
// CHECK-NEXT:      %n = arith.negf %e : f32
// CHECK-NEXT:      loop.yield %n : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<2xf32>):
  %t = loop.scratch : memref<4xf32>
  loop.compute ins(%x : memref<4x6xf32>) outs(%t : memref<4xf32>) dims <"i=4 r=6:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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
  loop.compute ins(%t : memref<4xf32>) outs(%y : memref<2xf32>) dims <"p=2"> maps [#loop.map<"p">, #loop.map<"p">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}
