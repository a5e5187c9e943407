// RUN: mlc opt %s -p expand-math | filecheck %s
// RUN: mlc opt %s -p 'expand-math{strict=true}' | filecheck %s --check-prefix=STRICT
// RUN: mlc opt %s -p expand-math,expand-math | filecheck %s

// An operand that never is positive needs no clamp above; products and sums are one rounding unless strict.

// CHECK-LABEL: loop.kernel @softmax_exponent
// CHECK-NOT: math.exp
// CHECK: arith.maximumf
// CHECK-NOT: arith.minimumf
// CHECK: math.roundeven
// CHECK: math.fma
// CHECK: loop.ldexp
// CHECK-NEXT: loop.yield

// STRICT-LABEL: loop.kernel @softmax_exponent
// STRICT-NOT: math.fma
// STRICT: loop.ldexp
loop.kernel @softmax_exponent {
^bb0(%x: memref<64xf32>, %y: memref<64xf32>):
  loop.compute ins(%x : memref<64xf32>) outs(%y : memref<64xf32>) dims <"n=64"> maps [#loop.map<"n">, #loop.map<"n">]
    init {} map {} combine {} finish {
    ^bb0(%0: f32):
      %1 = math.exp %0 {nonpositive} : f32
      loop.yield %1 : f32
    }
}

// CHECK-LABEL: loop.kernel @exp
// CHECK: arith.maximumf
// CHECK: arith.minimumf
// CHECK: loop.ldexp
loop.kernel @exp {
^bb0(%x: memref<64xf64>, %y: memref<64xf64>):
  loop.compute ins(%x : memref<64xf64>) outs(%y : memref<64xf64>) dims <"n=64"> maps [#loop.map<"n">, #loop.map<"n">]
    init {} map {} combine {} finish {
    ^bb0(%0: f64):
      %1 = math.exp %0 : f64
      loop.yield %1 : f64
    }
}

// What is no function of a table stays.
// CHECK-LABEL: loop.kernel @sqrt
// CHECK: math.sqrt
// CHECK-NEXT: loop.yield
loop.kernel @sqrt {
^bb0(%x: memref<64xf32>, %y: memref<64xf32>):
  loop.compute ins(%x : memref<64xf32>) outs(%y : memref<64xf32>) dims <"n=64"> maps [#loop.map<"n">, #loop.map<"n">]
    init {} map {} combine {} finish {
    ^bb0(%0: f32):
      %1 = math.sqrt %0 : f32
      loop.yield %1 : f32
    }
}
