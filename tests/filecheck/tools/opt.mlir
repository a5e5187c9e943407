// RUN: mlc opt %s -p cse | filecheck %s
// RUN: mlc opt %s -p 'cse,dce' --print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: mlc opt %s -p 'dce,cse' --print-ir-after=cse 2>&1 | filecheck %s --check-prefix=AFTER
// RUN: mlc opt %s -p 'dce,cse' --print-ir-after-change 2>&1 | filecheck %s --check-prefix=CHANGE
// RUN: mlc opt %s -p 'dce,cse' --time-passes 2>&1 | filecheck %s --check-prefix=TIME
// RUN: not mlc opt %s -p 'csee' 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: not mlc opt %s -p 'cse,' -p 'cse{speed=3}' 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not mlc opt %s --print-ir-after=csee 2>&1 | filecheck %s --check-prefix=UNKNOWN

func.func @double(%a: i32) -> i32 {
  %x = arith.addi %a, %a : i32
  %y = arith.addi %a, %a : i32
  %z = arith.muli %x, %y : i32
  func.return %z : i32
}

// CHECK-LABEL: func.func @double(%a: i32) -> i32 {
// CHECK-NEXT:    %x = arith.addi %a, %a : i32
// CHECK-NEXT:    %z = arith.muli %x, %x : i32
// CHECK-NEXT:    func.return %z : i32

// GENERIC:      "builtin.module"() ({
// GENERIC-NEXT:   "func.func"() <{sym_name = "double", function_type = (i32) -> i32}> ({

// AFTER-NOT:  IR after dce
// AFTER:      // -----// IR after cse //----- //
// AFTER-NEXT: builtin.module {

// CHANGE-NOT:  IR after dce
// CHANGE:      // -----// IR after cse //----- //

// TIME:      pass seconds share ops after
// TIME-NEXT: dce
// TIME-NEXT: cse

// UNKNOWN: mlc: error: unknown pass 'csee' (did you mean 'cse'? valid:

// OPTION: mlc: error: pass 'cse': Provided arguments ["speed"] not found in expected arguments [] (see `mlc passes`)
