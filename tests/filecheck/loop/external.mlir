// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s -p parallelize | filecheck %s --check-prefix ALONE

// A call of a C function stands alone in its kernel; one thread makes it.

// CHECK:       loop.call_c "f" ins(%0 : memref<2x8xf32>) outs(%1 : memref<2x8xf32>) status %2 dtypes [1 : i32, 1 : i32] parameters [2.000000e+00 : f64]
// ALONE:       loop.parallel 0 : index + 1 : index of 1 : index {
// ALONE:       loop.call_c "f"
loop.kernel @k0_call_c attributes {checked} {
^bb0(%0: memref<2x8xf32>, %1: memref<2x8xf32>, %2: memref<1xi32>):
  loop.call_c "f" ins(%0 : memref<2x8xf32>) outs(%1 : memref<2x8xf32>) status %2 dtypes [1 : i32, 1 : i32] parameters [2.0 : f64]
}
