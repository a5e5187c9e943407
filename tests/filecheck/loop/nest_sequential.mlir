// RUN: mlc opt %s -p 'split,nest' | filecheck %s

// split, nest: a subscript's bytes stand in the access; a dim of kind s becomes a sequential loop.

// Updates may meet in one row: they are stored in order.

// CHECK-LABEL: loop.kernel @scatter attributes {checked} {
// CHECK-NEXT:  ^bb0(%u: memref<6x8xf32>, %rows: memref<6xi32>, %y: memref<512x8xf32>, %status: memref<1xi32>):
// CHECK-NEXT:    loop.for 6 : index attributes {dim = "0:a/1", sequential} {
// CHECK-NEXT:    ^bb0(%0: index):
// CHECK-NEXT:      loop.tile(%u : memref<6x8xf32>) ivs(%0) outs(%y : memref<512x8xf32>) subscripts(%rows : memref<6xi32>) axes <"b=1 b@8"> access [#loop.access<"0 | 32 | b:32 b@:4">, #loop.access<"0 | 0 | b:32 b@:4 @0[512]:32">, #loop.access<"0 | 4 | ">] {
// CHECK-NEXT:      ^bb0(%1: f32):
// CHECK-NEXT:        loop.yield %1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      loop.yield
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @scatter attributes {checked} {
^bb0(%u: memref<6x8xf32>, %rows: memref<6xi32>, %y: memref<512x8xf32>, %status: memref<1xi32>):
  loop.compute ins(%u : memref<6x8xf32>) outs(%y : memref<512x8xf32>) subscripts(%rows : memref<6xi32>) dims <"a=6:s b=8"> schedule <"a/1 b* b@8"> maps [#loop.map<"a, b">, #loop.map<"@0[512], b">, #loop.map<"a">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}
