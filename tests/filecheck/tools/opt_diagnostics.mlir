// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s
// RUN: not mlc opt %s --split-input-file 2>&1 | filecheck %s --check-prefix=FIRST

// The first part is sound, and its neighbours' errors don't touch it.
func.func @sound() {
  func.return
}
// CHECK:      func.func @sound() {
// CHECK-NEXT:   func.return
// CHECK-NEXT: }

// -----

func.func @undefined() -> i32 {
  func.return %nowhere : i32
}
// CHECK: // -----
// CHECK-NEXT: {{.*}}opt_diagnostics.mlir:21:1: values used but not defined: [%nowhere]
// FIRST: mlc: error: {{.*}}opt_diagnostics.mlir:21:1: values used but not defined: [%nowhere]

// -----

func.func @wrong_result() -> i32 {
  %f = arith.constant 1.0 : f32
  func.return %f : f32
}
// CHECK: // -----
// CHECK-NEXT: {{.*}}opt_diagnostics.mlir: Expected arguments to have the same types as the function output types

// -----

"no_such_dialect.op"() : () -> ()
// CHECK: // -----
// CHECK-NEXT: {{.*}}opt_diagnostics.mlir:32:{{[0-9]+}}: Operation no_such_dialect.op is not registered

// -----

func.func @too_early() -> i32 {
  %s = arith.addi %late, %late : i32
  %late = arith.constant 1 : i32
  func.return %s : i32
}
// CHECK: // -----
// CHECK-NEXT: {{.*}}opt_diagnostics.mlir: operand 0 %late of arith.addi is used before it is defined

// -----

func.func @out_of_reach(%c: i1) -> i32 {
  scf.if %c {
    %inner = arith.constant 1 : i32
  }
  func.return %inner : i32
}
// CHECK: // -----
// CHECK-NEXT: {{.*}}values used but not defined: [%inner]

// -----

func.func @branches(%c: i1) -> i32 {
  "cf.br"() : () -> ()
}
// CHECK: // -----
// CHECK-NEXT: {{.*}}Operation cf.br is not registered
