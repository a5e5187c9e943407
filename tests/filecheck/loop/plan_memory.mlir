// RUN: mlc opt %s --split-input-file -p 'plan-memory' | filecheck %s

// plan-memory: buffers that never live together share memory.

// A chain of four: the first and third share a place; a view keeps its source alive.

// CHECK-LABEL: loop.kernel @k {
// CHECK-NEXT:  ^bb0(%x: memref<100xf32>, %y: memref<100xf32>):
// CHECK-NEXT:  }
// CHECK-NEXT:  func.func @main(%x: memref<100xf32>, %y: memref<100xf32>) attributes {inputs = 1 : i64, arena = 896 : i64} {
// CHECK-NEXT:    %a = loop.buffer at 0 : i64 : memref<100xf32>
// CHECK-NEXT:    %b = loop.buffer at 448 : i64 : memref<10x10xf32>
// CHECK-NEXT:    %v = loop.view %b : memref<10x10xf32> -> memref<100xf32>
// CHECK-NEXT:    %c = loop.buffer at 0 : i64 : memref<100xf32>
// CHECK-NEXT:    loop.call @k(%x, %a : memref<100xf32>, memref<100xf32>)
// CHECK-NEXT:    loop.call @k(%a, %v : memref<100xf32>, memref<100xf32>)
// CHECK-NEXT:    loop.call @k(%v, %c : memref<100xf32>, memref<100xf32>)
// CHECK-NEXT:    loop.call @k(%c, %y : memref<100xf32>, memref<100xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }
loop.kernel @k {
^bb0(%x: memref<100xf32>, %y: memref<100xf32>):
}
func.func @main(%x: memref<100xf32>, %y: memref<100xf32>) attributes {inputs = 1 : i64} {
  %a = loop.buffer : memref<100xf32>
  %b = loop.buffer : memref<10x10xf32>
  %v = loop.view %b : memref<10x10xf32> -> memref<100xf32>
  %c = loop.buffer : memref<100xf32>
  loop.call @k(%x, %a : memref<100xf32>, memref<100xf32>)
  loop.call @k(%a, %v : memref<100xf32>, memref<100xf32>)
  loop.call @k(%v, %c : memref<100xf32>, memref<100xf32>)
  loop.call @k(%c, %y : memref<100xf32>, memref<100xf32>)
  func.return
}
