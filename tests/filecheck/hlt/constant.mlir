// RUN: mlc opt %s | filecheck %s

// Constants: small ones in place, splats as one element, the rest as references. The generic form is not
// checked: xDSL does not read back what it prints for an infinity.

// CHECK-LABEL: func.func @constant() {
// CHECK-NEXT:    %r = hlt.constant dense<[1, 2]> : tensor<2xi64>
// CHECK-NEXT:    %s = hlt.constant dense<0.000000e+00> : tensor<1x64x56x56xf32>
// CHECK-NEXT:    %t = hlt.constant #mlc.weight<"fc", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"> : tensor<1000x2048xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @constant() {
  %r = hlt.constant dense<[1, 2]> : tensor<2xi64>
  %s = hlt.constant dense<0.000000e+00> : tensor<1x64x56x56xf32>
  %t = hlt.constant #mlc.weight<"fc", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"> : tensor<1000x2048xf32>
  func.return
}

// CHECK-LABEL: func.func @constant_2() {
// CHECK-NEXT:    %r = hlt.constant dense<[true, false]> : tensor<2xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @constant_2() {
  %r = hlt.constant dense<[true, false]> : tensor<2xi1>
  func.return
}

// CHECK-LABEL: func.func @constant_3() {
// CHECK-NEXT:    %r = hlt.constant dense<"0x0000807F"> : tensor<4xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @constant_3() {
  %r = hlt.constant dense<"0x0000807F"> : tensor<4xf32>
  func.return
}

// CHECK-LABEL: func.func @constant_4() {
// CHECK-NEXT:    %r = hlt.constant dense<[-1, 2]> : tensor<2xi8> {hlt.node = "n (Constant)"}
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @constant_4() {
  %r = hlt.constant dense<[-1, 2]> : tensor<2xi8> {hlt.node = "n (Constant)"}
  func.return
}
