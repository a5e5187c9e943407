// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: [repeat_bound] nothing ends the loop
loop.repeat {
^bb0(%i: memref<i64>):
}

// -----

// CHECK: [repeat_places] places come in pairs of a result's type
%a, %b = "test.op"() : () -> (memref<4xf32>, memref<5xf32>)
%r = loop.repeat limit 2 : i64 carry(%a, %b : memref<4xf32>, memref<5xf32>) -> (memref<4xf32>) {
^bb0(%i: memref<i64>, %now: memref<4xf32>, %next: memref<5xf32>):
}

// -----

// CHECK: [repeat_arguments] the body takes the counter and the places
loop.repeat limit 2 : i64 {
^bb0(%i: memref<i32>):
}

// -----

// CHECK: [view_step] a view moves by a step of a counter
%a = "test.op"() : () -> memref<4xf32>
%v = loop.view %a at 0 : i64 step 4 : i64 : memref<4xf32> -> memref<1xf32>
