// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// What the parser says of attributes that are no dims, maps, schedules, reaches, accesses or axes.

// CHECK: loop.dims: 'j' is no dim; write name=extent or name=extent:r
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.map: bad character '/' in index expression ' j /'
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j /">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.map: '%' by zero
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, j % 0">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.map: bad character '@' in index expression ' @0'
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> maps [#loop.map<"i, @0">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.schedule: 'j^4' is no level; write dim/step, dim*, dim+, dim@lanes or pack(operand)
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/1 j^4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.schedule: steps and lane counts are positive
loop.kernel @k {
^bb0(%x: memref<4x6xf32>, %y: memref<4x6xf32>):
  loop.compute ins(%x : memref<4x6xf32>) outs(%y : memref<4x6xf32>) dims <"i=4 j=6"> schedule <"i/0"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// -----

// CHECK: loop.reach: '0' is no reach; write const | level:bytes ...
loop.kernel @k {
^bb0(%x: memref<4xf32>):
  %p = loop.pack %x reach <"0"> dims <"n=4"> schedule <"n*"> : memref<4xf32> -> memref<4xf32>
}
