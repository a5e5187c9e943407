// RUN: mlc opt %s -p 'assign-schedules{target=x86-64-v4}' | filecheck %s --check-prefix=X86_64_V4
// RUN: mlc opt %s -p 'assign-schedules{target=x86-64-v3}' | filecheck %s --check-prefix=X86_64_V3
// RUN: mlc opt %s -p 'assign-schedules{target=aarch64}' | filecheck %s --check-prefix=AARCH64

// assign-schedules: the cost model's choices for typical computes on machines of different registers.

// Products: rows and vectors of a register tile, the weights packed, the reduction unrolled.
// X86_64_V4-LABEL: loop.kernel @gemm
// X86_64_V4: schedule <"n/32 m/~7 k/4 k* m* n* n@16 pack(1) prefetch(1)">
// X86_64_V3-LABEL: loop.kernel @gemm
// X86_64_V3: schedule <"n/16 m/~6 k/4 k* m* n* n@8 pack(1) prefetch(1)">
// AARCH64-LABEL: loop.kernel @gemm
// AARCH64: schedule <"n/12 m/~6 k/4 k* m* n* n@4 pack(1) prefetch(1)">
loop.kernel @gemm attributes {weights = array<i64: 1, 2>} {
^bb0(%a: memref<128x768xf32>, %b: memref<768x768xf32>, %bias: memref<768xf32>, %c: memref<128x768xf32>):
  loop.compute ins(%a, %b, %bias : memref<128x768xf32>, memref<768x768xf32>, memref<768xf32>) outs(%c : memref<128x768xf32>) dims <"m=128 n=768 k=768:r"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"n">, #loop.map<"m, n">] init {
  ^bb1(%x: f32, %w: f32, %s: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%x: f32, %w: f32, %s: f32):
    %p = arith.mulf %x, %w : f32
    loop.yield %p : f32
  } combine {
  ^bb3(%u: f32, %v: f32):
    %t = arith.addf %u, %v : f32
    loop.yield %t : f32
  } finish {
  ^bb4(%x: f32, %w: f32, %s: f32, %acc: f32):
    %y = arith.addf %acc, %s : f32
    loop.yield %y : f32
  }
}

// Sums of rows: lanes and several accumulators along memory.
// X86_64_V4-LABEL: loop.kernel @sum_of_rows
// X86_64_V4: schedule <"i/1 r/128 r+ r@16">
// X86_64_V3-LABEL: loop.kernel @sum_of_rows
// X86_64_V3: schedule <"i/1 r/64 r+ r@8">
// AARCH64-LABEL: loop.kernel @sum_of_rows
// AARCH64: schedule <"i/1 r/32 r+ r@4">
loop.kernel @sum_of_rows {
^bb0(%x: memref<100x1000xf32>, %y: memref<100xf32>):
  loop.compute ins(%x : memref<100x1000xf32>) outs(%y : memref<100xf32>) dims <"i=100 r=1000:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%a: f32):
    loop.yield %a : f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %acc: f32):
    loop.yield %acc : f32
  }
}

// Sums of columns: lanes along the result, nothing to merge.
// X86_64_V4-LABEL: loop.kernel @sum_of_columns
// X86_64_V4: schedule <"i/64 r/4 r+ i* i@16">
// X86_64_V3-LABEL: loop.kernel @sum_of_columns
// X86_64_V3: schedule <"i/32 r/4 r+ i* i@8">
// AARCH64-LABEL: loop.kernel @sum_of_columns
// AARCH64: schedule <"i/16 r/4 r+ i* i@4">
loop.kernel @sum_of_columns {
^bb0(%x: memref<1000x100xf32>, %y: memref<100xf32>):
  loop.compute ins(%x : memref<1000x100xf32>) outs(%y : memref<100xf32>) dims <"i=100 r=1000:r"> maps [#loop.map<"r, i">, #loop.map<"i">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%a: f32):
    loop.yield %a : f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %acc: f32):
    loop.yield %acc : f32
  }
}

// Maps: several vectors along memory.
// X86_64_V4-LABEL: loop.kernel @map
// X86_64_V4: schedule <"i/64 i* i@16">
// X86_64_V3-LABEL: loop.kernel @map
// X86_64_V3: schedule <"i/32 i* i@8">
// AARCH64-LABEL: loop.kernel @map
// AARCH64: schedule <"i/16 i* i@4">
loop.kernel @map {
^bb0(%x: memref<100000xf32>, %y: memref<100000xf32>):
  loop.compute ins(%x : memref<100000xf32>) outs(%y : memref<100000xf32>) dims <"i=100000"> maps [#loop.map<"i">, #loop.map<"i">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    %n = arith.negf %e : f32
    loop.yield %n : f32
  }
}

// Transposition: a square of vectors.
// X86_64_V4-LABEL: loop.kernel @transpose
// X86_64_V4: schedule <"i/16 j/16 i* j* j@16">
// X86_64_V3-LABEL: loop.kernel @transpose
// X86_64_V3: schedule <"i/8 j/8 i* j* j@8">
// AARCH64-LABEL: loop.kernel @transpose
// AARCH64: schedule <"i/4 j/4 i* j* j@4">
loop.kernel @transpose {
^bb0(%x: memref<512x256xf32>, %y: memref<256x512xf32>):
  loop.compute ins(%x : memref<512x256xf32>) outs(%y : memref<256x512xf32>) dims <"i=256 j=512"> maps [#loop.map<"j, i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32):
    loop.yield %e : f32
  }
}

// Computes that depend on each other share loops over rows.
// X86_64_V4-LABEL: loop.kernel @rows
// X86_64_V4-SAME: shared <"i/~4">
// X86_64_V4: schedule <"r/64 i* r+ r@16">
// X86_64_V4: schedule <"j/32 i* j* j@16">
// X86_64_V3-LABEL: loop.kernel @rows
// X86_64_V3-SAME: shared <"i/~2">
// X86_64_V3: schedule <"r/32 i* r+ r@8">
// X86_64_V3: schedule <"j/16 i* j* j@8">
// AARCH64-LABEL: loop.kernel @rows
// AARCH64-SAME: shared <"i/~4">
// AARCH64: schedule <"r/16 i* r+ r@4">
// AARCH64: schedule <"j/8 i* j* j@4">
loop.kernel @rows {
^bb0(%x: memref<64x128xf32>, %y: memref<64x128xf32>):
  %t = loop.scratch : memref<64xf32>
  loop.compute ins(%x : memref<64x128xf32>) outs(%t : memref<64xf32>) dims <"i=64 r=128:r"> maps [#loop.map<"i, r">, #loop.map<"i">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%a: f32):
    loop.yield %a : f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %acc: f32):
    loop.yield %acc : f32
  }
  loop.compute ins(%x, %t : memref<64x128xf32>, memref<64xf32>) outs(%y : memref<64x128xf32>) dims <"i=64 j=128"> maps [#loop.map<"i, j">, #loop.map<"i">, #loop.map<"i, j">] init {
  } map {
  } combine {
  } finish {
  ^bb1(%e: f32, %s: f32):
    %n = arith.divf %e, %s : f32
    loop.yield %n : f32
  }
}

// A reader that walks the rows under other names shares only the loops that mean the same to it.
// X86_64_V4-LABEL: loop.kernel @handed_over_permuted
// X86_64_V4-SAME: shared <"i/~3">
// X86_64_V3-LABEL: loop.kernel @handed_over_permuted
// X86_64_V3-SAME: shared <"i/~2">
// AARCH64-LABEL: loop.kernel @handed_over_permuted
// AARCH64-SAME: shared <"i/~3">
loop.kernel @handed_over_permuted {
^bb0(%x: memref<3x5x2xf32>, %y: memref<3x5x2xf32>):
  %sums = loop.scratch : memref<3x2xf32>
  loop.compute ins(%x : memref<3x5x2xf32>) outs(%sums : memref<3x2xf32>) dims <"i=3 j=2 k=5:r"> maps [#loop.map<"i, k, j">, #loop.map<"i, j">] init {
  ^bb1(%a: f32):
    %zero = arith.constant 0.000000e+00 : f32
    loop.yield %zero : f32
  } map {
  ^bb2(%a: f32):
    loop.yield %a : f32
  } combine {
  ^bb3(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    loop.yield %s : f32
  } finish {
  ^bb4(%a: f32, %acc: f32):
    loop.yield %acc : f32
  }
  loop.compute ins(%x, %sums : memref<3x5x2xf32>, memref<3x2xf32>) outs(%y : memref<3x5x2xf32>) dims <"i=3 j=5 l=2"> maps [#loop.map<"i, j, l">, #loop.map<"i, l">, #loop.map<"i, j, l">] init {
  } map {
  } combine {
  } finish {
  ^bb5(%a: f32, %b: f32):
    %d = arith.subf %a, %b : f32
    loop.yield %d : f32
  }
}
