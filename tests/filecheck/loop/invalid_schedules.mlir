// RUN: mlc opt %s --split-input-file --verify-diagnostics -p 'split' | filecheck %s

// Schedules that would not compute what the text says are refused; so are those that an operand's blocks do not fit.

// CHECK: [split_input] split needs a compute with maps and a schedule
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_dim] 'k' is no dim of the compute
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j/1 k/1"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_cover] the levels of dim 'j' leave 2 elements to no level
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j/2"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_once] dim 'i' has two register levels
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i* j* i*"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_order] loop j/1 stands inside register levels
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i* j/1"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_order] loop i/1 stands inside a reduction loop
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4xf32>) dims <"i=4 r=6:r"> schedule <"r/1 i/1"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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

// CHECK: [schedule_steps] loop j/2 is no smaller than the one around it
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j/2 j/2 j*"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_kept] j+ keeps a dim that is no reduction
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j+"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_sequential] dim 'i' runs in order: it can only be looped over
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4:s j=6"> schedule <"i* j*"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [schedule_repeat] kept axes and reduction lanes repeat init, which would change the result
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4xf32>) dims <"i=4 r=6:r"> schedule <"i/1 r+"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 1.000000e+00 : f32
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

// CHECK: [split_linear] (j)%3 is not linear over the levels i/1 j/2 j*: pack the operand or choose steps that respect 3
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j/2 j*"> maps [#loop.map<"j//3, i*2 + j%3">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [split_linear] (-j + 1)//2 runs backwards over j*
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j*"> maps [#loop.map<"(-j + 5)//2, i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [split_balanced] dim 'j' is blocked in operand 0: its steps can't vary
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j/~4 j*"> maps [#loop.map<"j//2, i + j%2">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}
