// RUN: mlc opt %s -p 'elide-copies' | filecheck %s
// RUN: mlc opt %s -p 'elide-copies' | mlc opt | filecheck %s

// elide-copies: what nothing reads again is not copied; the copy's readers get the memory itself.

// A bounded input %x dies at its copy: the update happens in its storage, and the result %y lies there. %u is read again,
// %v is the caller's, so they are copied. What is made in %a and copied to a result is made in the result. Of %c, half is
// copied; %d is a loop's.

// CHECK:       func.func @main(%x: memref<8x4xf32>, %u: memref<8x4xf32>, %v: memref<8x4xf32>, %part: memref<1x4xf32>, %n: memref<1xi64>, %y: memref<8x4xf32> {loop.storage = 0 : i64}, %z: memref<8x4xf32>, %w: memref<8x4xf32>, %r: memref<8x4xf32>) attributes
// CHECK:         loop.call @update(%part, %start, %x, %status
// CHECK-NEXT:    loop.call @copy(%u, %z
// CHECK-NEXT:    loop.call @update(%part, %start, %z, %status
// CHECK-NEXT:    loop.call @half(%u, %w
// CHECK-NEXT:    loop.call @copy(%v, %c
// CHECK-NEXT:    loop.call @half(%c, %w
// CHECK-NEXT:    loop.call @half(%v, %r
// CHECK-NEXT:    loop.call @copy(%v, %d
// CHECK-NEXT:    loop.if
// CHECK-NEXT:      loop.call @copy(%d, %e
// CHECK:         loop.call @copy(%e, %w
// CHECK-NEXT:    func.return

builtin.module attributes {mlc.bounds = "{\"dims\": [[\"n\", 0, 8]], \"found\": [], \"inputs\": [[\"n\", \"4\"], [\"n\", \"4\"], [\"8\", \"4\"], [\"1\", \"4\"]], \"outputs\": [[\"n\", \"4\"], [\"n\", \"4\"], [\"8\", \"4\"], [\"8\", \"4\"]]}"} {
  loop.kernel @copy {
  ^bb0(%a: memref<8x4xf32>, %b: memref<8x4xf32>):
    loop.compute ins(%a : memref<8x4xf32>) outs(%b : memref<8x4xf32>) dims <"i=8 j=4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
    } map {
    } combine {
    } finish {
    ^bb1(%x: f32):
      loop.yield %x : f32
    }
  }
  loop.kernel @update attributes {checked} {
  ^bb0(%part: memref<1x4xf32>, %start: memref<i64>, %x: memref<8x4xf32>, %status: memref<1xi32>):
    loop.compute ins(%part : memref<1x4xf32>) outs(%x : memref<8x4xf32>) subscripts(%start : memref<i64>) dims <"i=1 j=4"> maps [#loop.map<"0, j">, #loop.map<"@0[8], j">, #loop.map<"">] init {
    } map {
    } combine {
    } finish {
    ^bb1(%v: f32):
      loop.yield %v : f32
    }
  }
  loop.kernel @half {
  ^bb0(%a: memref<8x4xf32>, %b: memref<8x4xf32>):
    loop.compute ins(%a : memref<8x4xf32>) outs(%b : memref<8x4xf32>) dims <"i=4 j=4"> maps [#loop.map<"i, j">, #loop.map<"i, j">] init {
    } map {
    } combine {
    } finish {
    ^bb1(%x: f32):
      loop.yield %x : f32
    }
  }
  func.func @main(%x: memref<8x4xf32>, %u: memref<8x4xf32>, %v: memref<8x4xf32>, %part: memref<1x4xf32>, %n: memref<1xi64>, %y: memref<8x4xf32>, %z: memref<8x4xf32>, %w: memref<8x4xf32>, %r: memref<8x4xf32>) attributes {inputs = 5 : i64} {
    %status = loop.status : memref<1xi32>
    %start = loop.constant dense<3> : tensor<i64> : memref<i64>
    %go = loop.constant dense<1> : tensor<i1> : memref<i1>
    %b = loop.buffer : memref<8x4xf32>
    %a = loop.buffer : memref<8x4xf32>
    %c = loop.buffer : memref<8x4xf32>
    %d = loop.buffer : memref<8x4xf32>
    %e = loop.buffer : memref<8x4xf32>
    loop.call @copy(%x, %b : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @copy(%b, %y : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @update(%part, %start, %y, %status : memref<1x4xf32>, memref<i64>, memref<8x4xf32>, memref<1xi32>)
    loop.call @copy(%u, %z : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @update(%part, %start, %z, %status : memref<1x4xf32>, memref<i64>, memref<8x4xf32>, memref<1xi32>)
    loop.call @half(%u, %w : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @copy(%v, %c : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @half(%c, %w : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @half(%v, %a : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @copy(%a, %r : memref<8x4xf32>, memref<8x4xf32>)
    loop.call @copy(%v, %d : memref<8x4xf32>, memref<8x4xf32>)
    loop.if %go {
      loop.call @copy(%d, %e : memref<8x4xf32>, memref<8x4xf32>)
    } else {
      loop.call @half(%d, %e : memref<8x4xf32>, memref<8x4xf32>)
    }
    loop.call @copy(%e, %w : memref<8x4xf32>, memref<8x4xf32>)
    func.return
  }
}
