// RUN: mlc opt %s -p 'fuse' | filecheck %s

// fuse: an element-wise producer that is addressed by a subscript moves into its reader.

// The gather joins the sum that reads it; its subscript comes along.

// CHECK-LABEL: loop.kernel @embed attributes {checked} {
// CHECK-NEXT:  ^bb0(%table: memref<512x8xf32>, %tokens: memref<6xi64>, %bias: memref<8xf32>, %y: memref<6x8xf32>, %status: memref<1xi32>):
// CHECK-NEXT:    loop.compute ins(%table, %bias : memref<512x8xf32>, memref<8xf32>) outs(%y : memref<6x8xf32>) subscripts(%tokens : memref<6xi64>) dims <"a=6 b=8"> maps [#loop.map<"@0[512], b">, #loop.map<"b">, #loop.map<"a, b">, #loop.map<"a">] init {
// CHECK-NEXT:    } map {
// CHECK-NEXT:    } combine {
// CHECK-NEXT:    } finish {
// CHECK-NEXT:    ^bb0(%e: f32, %z: f32):
// CHECK-NEXT:      %t = arith.addf %e, %z : f32
// CHECK-NEXT:      loop.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
loop.kernel @embed attributes {checked} {
^bb0(%table: memref<512x8xf32>, %tokens: memref<6xi64>, %bias: memref<8xf32>, %y: memref<6x8xf32>, %status: memref<1xi32>):
  %s = loop.scratch : memref<6x8xf32>
  loop.compute ins(%table : memref<512x8xf32>) outs(%s : memref<6x8xf32>) subscripts(%tokens : memref<6xi64>) dims <"a=6 b=8"> maps [#loop.map<"@0[512], b">, #loop.map<"a, b">, #loop.map<"a">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
  loop.compute ins(%s, %bias : memref<6x8xf32>, memref<8xf32>) outs(%y : memref<6x8xf32>) dims <"a=6 b=8"> maps [#loop.map<"a, b">, #loop.map<"b">, #loop.map<"a, b">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32, %z: f32):
    %t = arith.addf %e, %z : f32
    loop.yield %t : f32
  }
}
