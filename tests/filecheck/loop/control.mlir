// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s -p plan-memory | filecheck %s --check-prefix=PLAN

// Control flow around calls. Buffers that were there before a loop live as long as it runs; those inside share memory.

loop.kernel @step {
^bb0(%a: memref<4xf32>, %b: memref<4xf32>):
}

func.func @main(%c: memref<i1>, %xs: memref<9x4xf32>, %y: memref<4xf32>) attributes {inputs = 2} {
  %a = loop.buffer : memref<4xf32>
  %b = loop.buffer : memref<4xf32>
  // CHECK:      loop.if %c {
  // CHECK-NEXT:   loop.call @step(%a, %b : memref<4xf32>, memref<4xf32>)
  // CHECK-NEXT: } else {
  // CHECK-NEXT:   loop.call @step(%b, %a : memref<4xf32>, memref<4xf32>)
  // CHECK-NEXT: }
  loop.if %c {
    loop.call @step(%a, %b : memref<4xf32>, memref<4xf32>)
  } else {
    loop.call @step(%b, %a : memref<4xf32>, memref<4xf32>)
  }
  // CHECK-NEXT: %r = loop.repeat limit 9 : i64 while %c carry(%a, %b : memref<4xf32>, memref<4xf32>) -> (memref<4xf32>) {
  // CHECK-NEXT: ^bb0(%i: memref<i64>, %now: memref<4xf32>, %next: memref<4xf32>):
  // CHECK-NEXT:   %x = loop.view %xs at 0 : i64 step 16 : i64 of %i : memref<9x4xf32> -> memref<4xf32>
  // PLAN:      %a = loop.buffer at 0 : i64 : memref<4xf32>
  // PLAN-NEXT: %b = loop.buffer at 64 : i64 : memref<4xf32>
  // PLAN:      loop.repeat
  // PLAN:      %t = loop.buffer at 128 : i64 : memref<4xf32>
  // PLAN-NEXT: %u = loop.buffer at 192 : i64 : memref<4xf32>
  // PLAN-NEXT: %v = loop.buffer at 128 : i64 : memref<4xf32>
  %r = loop.repeat limit 9 : i64 while %c carry(%a, %b : memref<4xf32>, memref<4xf32>) -> (memref<4xf32>) {
  ^bb0(%i: memref<i64>, %now: memref<4xf32>, %next: memref<4xf32>):
    %x = loop.view %xs at 0 : i64 step 16 : i64 of %i : memref<9x4xf32> -> memref<4xf32>
    %t = loop.buffer : memref<4xf32>
    %u = loop.buffer : memref<4xf32>
    %v = loop.buffer : memref<4xf32>
    loop.call @step(%x, %t : memref<4xf32>, memref<4xf32>)
    loop.call @step(%t, %u : memref<4xf32>, memref<4xf32>)
    loop.call @step(%u, %v : memref<4xf32>, memref<4xf32>)
    loop.call @step(%v, %next : memref<4xf32>, memref<4xf32>)
  }
  loop.call @step(%r, %y : memref<4xf32>, memref<4xf32>)
  func.return
}
