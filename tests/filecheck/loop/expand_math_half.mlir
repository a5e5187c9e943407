// RUN: not mlc opt %s -p expand-math 2>&1 | filecheck %s

// CHECK: math.tanh on f16 has no expansion
loop.kernel @half {
^bb0(%x: memref<64xf16>, %y: memref<64xf16>):
  loop.compute ins(%x : memref<64xf16>) outs(%y : memref<64xf16>) dims <"n=64"> maps [#loop.map<"n">, #loop.map<"n">]
    init {} map {} combine {} finish {
    ^bb0(%0: f16):
      %1 = math.tanh %0 : f16
      loop.yield %1 : f16
    }
}
