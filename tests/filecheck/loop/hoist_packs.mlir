// RUN: mlc opt %s --split-input-file -p 'hoist-packs' | filecheck %s

// hoist-packs: packs of weights run once, when the artefact is built.

// Two calls share one packed weight.

// CHECK-LABEL: loop.kernel @k attributes {weights = array<i64: 1>} {
// CHECK-NEXT:  ^bb0(%x: memref<8xf32>, %w: memref<2x8x16xf32>, %y: memref<20xf32>):
// CHECK-NEXT:    loop.tile(%x, %w : memref<8xf32>, memref<2x8x16xf32>) outs(%y : memref<20xf32>) axes <"n@4"> access [#loop.access<"0 |  | ">, #loop.access<"0 |  | n@:4">, #loop.access<"0 |  | n@:4">] {
// CHECK-NEXT:    ^bb0(%a: f32, %b: f32):
// CHECK-NEXT:      %m = arith.mulf %a, %b : f32
// CHECK-NEXT:      loop.yield %m : f32
// CHECK-NEXT:    }
// CHECK-NEXT:  }
// CHECK-NEXT:  func.func @main(%x: memref<8xf32>, %y: memref<20xf32>, %z: memref<20xf32>) attributes {inputs = 1 : i64} {
// CHECK-NEXT:    %w = loop.constant #mlc.weight<"w", "0000000000000000000000000000000000000000000000000000000000000000"> : memref<8x20xf32>
// CHECK-NEXT:    %0 = loop.pack %w reach <"0 | n/16:64 k*:80 n@:4"> dims <"n=20 k=8:r"> schedule <"n/16 k* n@16"> : memref<8x20xf32> -> memref<2x8x16xf32>
// CHECK-NEXT:    loop.call @k(%x, %0, %y : memref<8xf32>, memref<2x8x16xf32>, memref<20xf32>)
// CHECK-NEXT:    loop.call @k(%x, %0, %z : memref<8xf32>, memref<2x8x16xf32>, memref<20xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }
loop.kernel @k attributes {weights = array<i64: 1>} {
^bb0(%x: memref<8xf32>, %w: memref<8x20xf32>, %y: memref<20xf32>):
  %p = loop.pack %w reach <"0 | n/16:64 k*:80 n@:4"> dims <"n=20 k=8:r"> schedule <"n/16 k* n@16"> : memref<8x20xf32> -> memref<2x8x16xf32>
  loop.tile(%x, %p : memref<8xf32>, memref<2x8x16xf32>) outs(%y : memref<20xf32>) axes <"n@4"> access [#loop.access<"0 |  | ">, #loop.access<"0 |  | n@:4">, #loop.access<"0 |  | n@:4">] {
  ^bb1(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    loop.yield %m : f32
  }
}
func.func @main(%x: memref<8xf32>, %y: memref<20xf32>, %z: memref<20xf32>) attributes {inputs = 1 : i64} {
  %w = loop.constant #mlc.weight<"w", "0000000000000000000000000000000000000000000000000000000000000000"> : memref<8x20xf32>
  loop.call @k(%x, %w, %y : memref<8xf32>, memref<8x20xf32>, memref<20xf32>)
  loop.call @k(%x, %w, %z : memref<8xf32>, memref<8x20xf32>, memref<20xf32>)
  func.return
}
