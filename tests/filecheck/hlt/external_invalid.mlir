// RUN: mlc opt %s --split-input-file --verify-diagnostics | filecheck %s

// Broken calls of C functions; each message starts with the constraint's label.

// CHECK: [c_symbol] 'f g' is no name of a C function
%x = "test.op"() : () -> tensor<2xf32>
%0 = hlt.call_c "f g"(%x) [] : (tensor<2xf32>) -> tensor<2xf32>

// -----

// CHECK: [c_element_type] a C function can't take f8E5M2
%x = "test.op"() : () -> tensor<2xf8E5M2>
%0 = hlt.call_c "f"(%x) [] : (tensor<2xf8E5M2>) -> tensor<2xf32>

// -----

// CHECK: [c_parameter] a C function can't take unit
%x = "test.op"() : () -> tensor<2xf32>
%0 = hlt.call_c "f"(%x) [unit] : (tensor<2xf32>) -> tensor<2xf32>
