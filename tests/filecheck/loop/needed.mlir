// RUN: mlc opt %s -p 'limit-trips' | filecheck %s
// RUN: mlc opt %s -p 'limit-trips' | mlc opt | filecheck %s

// limit-trips: inputs are noted to be read as far as they are.

// The sum ends with the zeros beyond seq, but for its last tile of 16. Of what is copied, the result's extent counts. The
// last input is read whole.

// CHECK:       func.func @main(%x: memref<512x32xf32> {loop.needed = #loop.limits<"0 < seq + 15 | seq=1..512">}, %u: memref<32x512xf32> {loop.needed = #loop.limits<"1 < seq | seq=1..512">}, %v: memref<512xf32>, %n: memref<1xi64>

builtin.module attributes {mlc.bounds = "{\"dims\": [[\"seq\", 1, 512]], \"found\": [], \"inputs\": [[\"seq\", \"32\"], [\"32\", \"seq\"], [\"seq\"]], \"outputs\": [[\"32\"], [\"32\", \"seq\"], [\"512\"]]}"} {
  loop.kernel @sum {
  ^bb0(%x: memref<512x32xf32>, %y: memref<32xf32>):
    loop.compute ins(%x : memref<512x32xf32>) outs(%y : memref<32xf32>) dims <"n=32 m=512:r"> schedule <"m/16 m* n* n@16"> maps [#loop.map<"m, n">, #loop.map<"n">] init {
    ^bb0(%a: f32):
      %z = arith.constant 0.0 : f32
      loop.yield %z : f32
    } map {
    ^bb0(%a: f32):
      loop.yield %a : f32
    } combine {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      loop.yield %s : f32
    } finish {
    ^bb0(%a: f32, %acc: f32):
      loop.yield %acc : f32
    }
  }
  loop.kernel @copy {
  ^bb0(%x: memref<32x512xf32>, %y: memref<32x512xf32>):
    loop.compute ins(%x : memref<32x512xf32>) outs(%y : memref<32x512xf32>) dims <"m=32 n=512"> schedule <"m/1 n/16 n@16"> maps [#loop.map<"m, n">, #loop.map<"m, n">] init {
    } map {
    } combine {
    } finish {
    ^bb0(%a: f32):
      loop.yield %a : f32
    }
  }
  loop.kernel @line {
  ^bb0(%x: memref<512xf32>, %y: memref<512xf32>):
    loop.compute ins(%x : memref<512xf32>) outs(%y : memref<512xf32>) dims <"n=512"> schedule <"n/16 n@16"> maps [#loop.map<"n">, #loop.map<"n">] init {
    } map {
    } combine {
    } finish {
    ^bb0(%a: f32):
      loop.yield %a : f32
    }
  }
  func.func @main(%x: memref<512x32xf32>, %u: memref<32x512xf32>, %v: memref<512xf32>, %n: memref<1xi64>, %y: memref<32xf32>, %w: memref<32x512xf32>, %z: memref<512xf32>) attributes {inputs = 4 : i64} {
    loop.call @sum(%x, %y : memref<512x32xf32>, memref<32xf32>)
    loop.call @copy(%u, %w : memref<32x512xf32>, memref<32x512xf32>)
    loop.call @line(%v, %z : memref<512xf32>, memref<512xf32>)
    func.return
  }
}
