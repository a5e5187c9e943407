// RUN: mlc opt %s -p 'limit-trips' | filecheck %s
// RUN: mlc opt %s -p 'limit-trips,split,select-rows,nest,parallelize{threads=2}' | filecheck %s --check-prefix=NEST
// RUN: mlc opt %s -p 'mark-bounded' | filecheck %s --check-prefix=MARK

// limit-trips: computes of a program with bounded dims stop where the call's extents end.

// Rows matter below seq: that far the result goes, and that far the sum reads them. What its last tile reads beyond, the
// mask hides. The second product is
// needed whole: its kernel is another one.

// CHECK:       loop.kernel @matmul attributes {extents = 3 : index} {
// CHECK:         dims <"m=512 n=32 k=64:r"> limits <"m < seq | seq=1..512"> schedule
// CHECK:       loop.kernel @matmul_1 {
// CHECK-NOT:     limits
// CHECK:       loop.kernel @sum attributes {extents = 3 : index} {
// CHECK:         dims <"n=32 m=512:r"> limits <"m < seq | seq=1..512"> schedule
// CHECK:       loop.call @matmul(%x, %w, %c, %n : memref<512x64xf32>, memref<64x32xf32>, memref<512x32xf32>, memref<1xi64>)
// CHECK:       loop.call @sum(%n, %c, %y, %n : memref<1xi64>, memref<512x32xf32>, memref<32xf32>, memref<1xi64>)
// CHECK:       loop.call @matmul_1(%x, %w, %whole : memref<512x64xf32>, memref<64x32xf32>, memref<512x32xf32>)

// The loops have as many tiles as begin below the limit; those of a parallel dim are shared out by their number.

// NEST:        loop.kernel @matmul attributes
// NEST-NEXT:   ^bb0(%a: memref<512x64xf32>, %b: memref<64x32xf32>, %c: memref<512x32xf32>, [[DIMS:%.*]]: memref<1xi64>):
// NEST-NEXT:     [[END:%.*]] = loop.extent [[DIMS]] <"seq | seq=1..512"> : memref<1xi64>
// NEST-NEXT:     [[BEFORE:%.*]] = loop.trips [[END]] steps [] <"">
// NEST-NEXT:     [[ALL:%.*]] = loop.trips [[END]] steps [] <"0:64x8">
// NEST-NEXT:     [[OWN:%.*]] = loop.trips [[END]] steps [] <"0:64x8">
// NEST-NEXT:     loop.parallel 0 : index + 64 : index of 64 : index upto([[BEFORE]], [[OWN]], [[ALL]])
// What is left for the last tile of rows decides how high it is.

// NEST-NEXT:     ^bb0([[I:%.*]]: index):
// NEST-NEXT:       [[FULL:%.*]] = loop.trips [[END]] ivs([[I]]) steps [8] <"4:1x1">
// NEST-NEXT:       loop.for 1 : index upto [[FULL]] attributes {sequential}
// NEST:              loop.tile() ivs([[I]]) axes <"m=8 n=2 n@16">
// NEST:            [[HALF:%.*]] = loop.trips [[END]] ivs([[I]]) steps [8] <"2:1x1"> until 4 : i64
// NEST-NEXT:       loop.for 1 : index upto [[HALF]] attributes {sequential}
// NEST:              loop.tile() ivs([[I]]) axes <"m=4 n=2 n@16">
// NEST:            [[LEAST:%.*]] = loop.trips [[END]] ivs([[I]]) steps [8] <"0:1x1"> until 2 : i64
// NEST-NEXT:       loop.for 1 : index upto [[LEAST]] attributes {sequential}
// NEST:              loop.tile() ivs([[I]]) axes <"m=2 n=2 n@16">

// NEST:        loop.kernel @sum attributes
// NEST:          [[TRIPS:%.*]] = loop.trips %{{.*}} steps [] <"0:32x16">
// NEST:          loop.for 32 : index upto [[TRIPS]] carry

// MARK:        loop.kernel @matmul {
// MARK:          attributes {bounded = ["m"]}
// MARK:        loop.kernel @sum {
// MARK:          attributes {bounded = ["m"]}

builtin.module attributes {mlc.bounds = "{\"dims\": [[\"seq\", 1, 512]], \"found\": [], \"inputs\": [[\"seq\", \"64\"]], \"outputs\": [[\"seq\", \"32\"], [\"32\"], [\"512\", \"32\"]]}"} {
  loop.kernel @matmul {
  ^bb0(%a: memref<512x64xf32>, %b: memref<64x32xf32>, %c: memref<512x32xf32>):
    loop.compute ins(%a, %b : memref<512x64xf32>, memref<64x32xf32>) outs(%c : memref<512x32xf32>) dims <"m=512 n=32 k=64:r"> schedule <"m/8 k/4 k* m* n* n@16"> maps [#loop.map<"m, k">, #loop.map<"k, n">, #loop.map<"m, n">] init {
    ^bb0(%x: f32, %y: f32):
      %z = arith.constant 0.0 : f32
      loop.yield %z : f32
    } map {
    ^bb0(%x: f32, %y: f32):
      %p = arith.mulf %x, %y : f32
      loop.yield %p : f32
    } combine {
    ^bb0(%u: f32, %v: f32):
      %s = arith.addf %u, %v : f32
      loop.yield %s : f32
    } finish {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      loop.yield %acc : f32
    }
  }
  loop.kernel @sum {
  ^bb0(%n: memref<1xi64>, %c: memref<512x32xf32>, %y: memref<32xf32>):
    loop.compute ins(%n, %c : memref<1xi64>, memref<512x32xf32>) outs(%y : memref<32xf32>) dims <"n=32 m=512:r"> schedule <"m/16 m* n* n@16"> maps [#loop.map<"0">, #loop.map<"m, n">, #loop.map<"n">] init {
    ^bb0(%e: i64, %x: f32):
      %z = arith.constant 0.0 : f32
      loop.yield %z : f32
    } map {
    ^bb0(%e: i64, %x: f32):
      %i = loop.index "m" : i64
      %inside = arith.cmpi slt, %i, %e : i64
      %zero = arith.constant 0.0 : f32
      %p = arith.select %inside, %x, %zero : f32
      loop.yield %p : f32
    } combine {
    ^bb0(%u: f32, %v: f32):
      %s = arith.addf %u, %v : f32
      loop.yield %s : f32
    } finish {
    ^bb0(%e: i64, %x: f32, %acc: f32):
      loop.yield %acc : f32
    }
  }
  func.func @main(%x: memref<512x64xf32>, %n: memref<1xi64>, %c: memref<512x32xf32>, %y: memref<32xf32>, %whole: memref<512x32xf32>) attributes {inputs = 2 : i64} {
    %w = loop.constant dense<1.0> : tensor<64x32xf32> : memref<64x32xf32>
    loop.call @matmul(%x, %w, %c : memref<512x64xf32>, memref<64x32xf32>, memref<512x32xf32>)
    loop.call @sum(%n, %c, %y : memref<1xi64>, memref<512x32xf32>, memref<32xf32>)
    loop.call @matmul(%x, %w, %whole : memref<512x64xf32>, memref<64x32xf32>, memref<512x32xf32>)
    func.return
  }
}
