// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// What the verifier says of text that breaks a constraint of the dialect.

// CHECK: [compute_stage] exactly one of maps and reach is present
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [compute_maps] one map per operand
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [compute_rank] a map has as many indices as its buffer has dims
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [compute_subscripts] a subscript names an operand and a positive extent
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"@0[4], j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [compute_reduction] combine needs init and map
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4xf32>) dims <"i=4 r=6:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
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

// CHECK: [compute_args] finish takes 1 values, not 2
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32, %f: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: [compute_yield] finish yields 1 values
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e, %e : f32, f32
  }
}

// -----

// CHECK: [for_count] a loop has at least one tile
loop.kernel @k {
^bb0(%x: memref<4xf32>):
  loop.for 0 : index {
  ^bb1(%i: index):
    loop.yield
  }
}

// -----

// CHECK: [parallel_range] first + count lies within tiles
loop.kernel @k {
^bb0(%x: memref<4xf32>):
  loop.parallel 3 : index + 2 : index of 4 : index {
  ^bb1(%i: index):
    loop.yield
  }
}

// -----

// CHECK: [view_elements] a view has elements of its source, all of them without an offset
func.func @main(%x: memref<4xf32>) {
  %v = loop.view %x : memref<4xf32> -> memref<5xf32>
  func.return
}
