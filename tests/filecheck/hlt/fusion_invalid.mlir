// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// Broken fusions; each message starts with the constraint's label.

// CHECK: [fusion_results] tensor<2xf32> is yielded for results tensor<3xf32>
%x = "test.op"() : () -> tensor<2xf32>
%0 = "hlt.fusion"(%x) ({
^bb0(%a: tensor<2xf32>):
  hlt.yield %a : tensor<2xf32>
}) : (tensor<2xf32>) -> tensor<3xf32>

// -----

// CHECK: [fusion_arguments] arguments tensor<3xf32> for operands tensor<2xf32>
%x = "test.op"() : () -> tensor<2xf32>
%0 = "hlt.fusion"(%x) ({
^bb0(%a: tensor<3xf32>):
  hlt.yield %a : tensor<3xf32>
}) : (tensor<2xf32>) -> tensor<3xf32>

// -----

// CHECK: [fusion_body] test.op can't stand in a fusion
%0 = hlt.fusion() -> (tensor<2xf32>) {
  %x = "test.op"() : () -> tensor<2xf32>
  hlt.yield %x : tensor<2xf32>
}

// -----

// CHECK: Operation hlt.iota terminates block in single-block region but is not a terminator
hlt.fusion() -> () {
  %i = hlt.iota <shape = [2], axis = 0, dtype = i32> : tensor<2xi32>
}

// -----

// A fusion sees its own arguments only.
// CHECK: Operation using value defined out of its IsolatedFromAbove parent
%x = "test.op"() : () -> tensor<2xf32>
%0 = hlt.fusion() -> (tensor<2xf32>) {
  hlt.yield %x : tensor<2xf32>
}
