// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// Broken control flow; each message starts with the constraint's label.

// CHECK: [if_condition] the condition is tensor<2xi1>, must be tensor<i1>
%c, %x = "test.op"() : () -> (tensor<2xi1>, tensor<2xf32>)
%0 = "hlt.if"(%c) ({
  hlt.yield %x : tensor<2xf32>
}, {
  hlt.yield %x : tensor<2xf32>
}) : (tensor<2xi1>) -> tensor<2xf32>

// -----

// CHECK: [if_results] tensor<i1> is yielded for results tensor<2xf32>
%c, %x = "test.op"() : () -> (tensor<i1>, tensor<2xf32>)
%0 = hlt.if %c -> (tensor<2xf32>) {
  hlt.yield %x : tensor<2xf32>
} else {
  hlt.yield %c : tensor<i1>
}

// -----

// CHECK: [control_body] test.op can't stand in hlt.if
%c = "test.op"() : () -> tensor<i1>
hlt.if %c -> () {
  "test.op"() : () -> ()
  hlt.yield
} else {
  hlt.yield
}

// -----

// CHECK: [control_yield] a region does not end with hlt.yield
%c = "test.op"() : () -> tensor<i1>
hlt.if %c -> () {
  "test.termop"() : () -> ()
} else {
  hlt.yield
}

// -----

// CHECK: [loop_bound] nothing ends the loop
hlt.loop %i -> () {
  hlt.yield
}

// -----

// CHECK: [loop_bound] the limit is -1
hlt.loop %i limit -1 -> () {
  hlt.yield
}

// -----

// CHECK: [loop_bound] stacked results need a limit
%n = "test.op"() : () -> tensor<i64>
%0 = hlt.loop %i trips %n -> (tensor<4xi64>) {
  hlt.yield %i : tensor<i64>
}

// -----

// CHECK: [loop_trips] the trip count is tensor<i32>, must be tensor<i64>
%n = "test.op"() : () -> tensor<i32>
"hlt.loop"(%n) <{operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
^bb0(%i: tensor<i64>):
  hlt.yield
}) : (tensor<i32>) -> ()

// -----

// CHECK: [loop_keep] the condition is tensor<i64>, must be tensor<i1>
%n = "test.op"() : () -> tensor<i64>
"hlt.loop"(%n) <{operandSegmentSizes = array<i32: 0, 1, 0, 0>}> ({
^bb0(%i: tensor<i64>):
  hlt.yield %i : tensor<i64>
}) : (tensor<i64>) -> ()

// -----

// CHECK: [loop_slices] tensor<4x2xf32> does not have 3 slices, the loop's limit
%x = "test.op"() : () -> tensor<4x2xf32>
hlt.loop %i limit 3 each(%p = %x : tensor<4x2xf32>) -> () {
  hlt.yield
}

// -----

// CHECK: [loop_arguments] the body takes tensor<i64>, tensor<3xf32>, must take tensor<i64>, tensor<2xf32>
%x = "test.op"() : () -> tensor<2xf32>
%0 = "hlt.loop"(%x) <{limit = 3 : i64, operandSegmentSizes = array<i32: 0, 0, 1, 0>}> ({
^bb0(%i: tensor<i64>, %s: tensor<3xf32>):
  hlt.yield %s : tensor<3xf32>
}) : (tensor<2xf32>) -> tensor<2xf32>

// -----

// CHECK: [loop_yield] tensor<i64> is yielded, must start with tensor<2xf32>
%x = "test.op"() : () -> tensor<2xf32>
%0 = hlt.loop %i limit 3 carry(%s = %x : tensor<2xf32>) -> (tensor<2xf32>) {
  hlt.yield %i : tensor<i64>
}

// -----

// CHECK: [loop_results] results tensor<4xi64> of what makes tensor<3xi64>
%0 = hlt.loop %i limit 3 -> (tensor<4xi64>) {
  hlt.yield %i : tensor<i64>
}
