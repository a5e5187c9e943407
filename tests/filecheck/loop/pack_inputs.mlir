// RUN: mlc opt %s -p 'pack-inputs{target=aarch64}' | filecheck %s
// RUN: mlc opt %s -p 'pack-inputs{target=x86-64-v3}' | filecheck %s --check-prefix=MEMORY

// pack-inputs: rows that become lanes of multiply-adds lie side by side, eight at a time.

// CHECK-LABEL: loop.kernel @k attributes {weights = array<i64: 1>} {
// CHECK-NEXT:  ^bb0(%x: memref<2x5x8xf32>, %w: memref<5x256xf32>, %y: memref<12x256xf32>):
// CHECK:         maps [#loop.map<"m//8, k, m%8">, #loop.map<"k, n">, #loop.map<"m, n">]
// CHECK-LABEL: loop.kernel @k_rows {
// CHECK-NEXT:  ^bb0(%0: memref<12x5xf32>, %1: memref<2x5x8xf32>):
// CHECK-NEXT:    loop.compute ins(%0 : memref<12x5xf32>) outs(%1 : memref<2x5x8xf32>) dims <"m=12 k=5"> maps [#loop.map<"m, k">, #loop.map<"m//8, k, m%8">]
// CHECK-LABEL: func.func @main
// CHECK:         %0 = loop.buffer : memref<2x5x8xf32>
// CHECK-NEXT:    loop.call @k_rows(%x, %0 : memref<12x5xf32>, memref<2x5x8xf32>)
// CHECK-NEXT:    loop.call @k(%0, %w, %y : memref<2x5x8xf32>, memref<5x256xf32>, memref<12x256xf32>)
// CHECK-NEXT:    %1 = loop.buffer : memref<2x5x8xf32>
// CHECK-NEXT:    loop.call @k_rows(%z, %1 : memref<12x5xf32>, memref<2x5x8xf32>)
// CHECK-NEXT:    loop.call @k(%1, %w, %y : memref<2x5x8xf32>, memref<5x256xf32>, memref<12x256xf32>)

// MEMORY-NOT: loop.buffer
loop.kernel @k attributes {weights = array<i64: 1>} {
^bb0(%x: memref<12x5xf32>, %w: memref<5x256xf32>, %y: memref<12x256xf32>):
  loop.compute ins(%x, %w : memref<12x5xf32>, memref<5x256xf32>) outs(%y : memref<12x256xf32>) dims <"m=12 n=256 k=5:r"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">] init {
  ^bb1(%a: f32, %b: f32):
    %c = arith.constant 0.0 : f32
    loop.yield %c : f32
  } map {
  ^bb2(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    loop.yield %p : f32
  } combine {
  ^bb3(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %b: f32, %s: f32):
    loop.yield %s : f32
  }
}
func.func @main(%x: memref<12x5xf32>, %z: memref<12x5xf32>, %y: memref<12x256xf32>) attributes {inputs = 2 : i64} {
  %w = loop.constant #mlc.weight<"w", "0000000000000000000000000000000000000000000000000000000000000000"> : memref<5x256xf32>
  loop.call @k(%x, %w, %y : memref<12x5xf32>, memref<5x256xf32>, memref<12x256xf32>)
  loop.call @k(%z, %w, %y : memref<12x5xf32>, memref<5x256xf32>, memref<12x256xf32>)
  func.return
}
