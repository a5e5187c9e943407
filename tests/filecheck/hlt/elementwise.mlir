// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Element-wise operations: one type where all are equal, a function type otherwise.

// CHECK-LABEL: func.func @add(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.add %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @add(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.add %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @sub(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sub %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sub(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.sub %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @mul(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.mul %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @mul(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.mul %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @div(%a: tensor<2x3xi32>, %b: tensor<2x3xi32>) {
// CHECK-NEXT:    %r = hlt.div %a, %b : tensor<2x3xi32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @div(%a: tensor<2x3xi32>, %b: tensor<2x3xi32>) {
  %r = hlt.div %a, %b : tensor<2x3xi32>
  func.return
}

// CHECK-LABEL: func.func @rem(%a: tensor<2x3xi32>, %b: tensor<2x3xi32>) {
// CHECK-NEXT:    %r = hlt.rem %a, %b <mode = "floor"> : tensor<2x3xi32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @rem(%a: tensor<2x3xi32>, %b: tensor<2x3xi32>) {
  %r = hlt.rem %a, %b <mode = "floor"> : tensor<2x3xi32>
  func.return
}

// CHECK-LABEL: func.func @pow(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.pow %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @pow(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.pow %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @maximum(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.maximum %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @maximum(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.maximum %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @minimum(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.minimum %a, %b : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @minimum(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  %r = hlt.minimum %a, %b : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @and(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
// CHECK-NEXT:    %r = hlt.and %a, %b : tensor<2x3xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @and(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
  %r = hlt.and %a, %b : tensor<2x3xi1>
  func.return
}

// CHECK-LABEL: func.func @or(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
// CHECK-NEXT:    %r = hlt.or %a, %b : tensor<2x3xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @or(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
  %r = hlt.or %a, %b : tensor<2x3xi1>
  func.return
}

// CHECK-LABEL: func.func @xor(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
// CHECK-NEXT:    %r = hlt.xor %a, %b : tensor<2x3xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @xor(%a: tensor<2x3xi1>, %b: tensor<2x3xi1>) {
  %r = hlt.xor %a, %b : tensor<2x3xi1>
  func.return
}

// CHECK-LABEL: func.func @shift_left(%a: tensor<2x3xui8>, %b: tensor<2x3xui8>) {
// CHECK-NEXT:    %r = hlt.shift_left %a, %b : tensor<2x3xui8>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @shift_left(%a: tensor<2x3xui8>, %b: tensor<2x3xui8>) {
  %r = hlt.shift_left %a, %b : tensor<2x3xui8>
  func.return
}

// CHECK-LABEL: func.func @shift_right(%a: tensor<2x3xui8>, %b: tensor<2x3xui8>) {
// CHECK-NEXT:    %r = hlt.shift_right %a, %b : tensor<2x3xui8>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @shift_right(%a: tensor<2x3xui8>, %b: tensor<2x3xui8>) {
  %r = hlt.shift_right %a, %b : tensor<2x3xui8>
  func.return
}

// CHECK-LABEL: func.func @compare(%a: tensor<2xf32>, %b: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.compare %a, %b <predicate = "lt"> : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @compare(%a: tensor<2xf32>, %b: tensor<2xf32>) {
  %r = hlt.compare %a, %b <predicate = "lt"> : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
  func.return
}

// CHECK-LABEL: func.func @select(%a: tensor<2xi1>, %b: tensor<2xf32>, %c: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.select %a, %b, %c : (tensor<2xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @select(%a: tensor<2xi1>, %b: tensor<2xf32>, %c: tensor<2xf32>) {
  %r = hlt.select %a, %b, %c : (tensor<2xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// CHECK-LABEL: func.func @cast(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.cast %a <dtype = i32, saturate = true> : (tensor<2xf32>) -> tensor<2xi32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @cast(%a: tensor<2xf32>) {
  %r = hlt.cast %a <dtype = i32, saturate = true> : (tensor<2xf32>) -> tensor<2xi32>
  func.return
}

// CHECK-LABEL: func.func @neg(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.neg %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @neg(%a: tensor<2x3xf32>) {
  %r = hlt.neg %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @abs(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.abs %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @abs(%a: tensor<2x3xf32>) {
  %r = hlt.abs %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @sign(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sign %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sign(%a: tensor<2x3xf32>) {
  %r = hlt.sign %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @not(%a: tensor<2x3xi1>) {
// CHECK-NEXT:    %r = hlt.not %a : tensor<2x3xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @not(%a: tensor<2x3xi1>) {
  %r = hlt.not %a : tensor<2x3xi1>
  func.return
}

// CHECK-LABEL: func.func @floor(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.floor %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @floor(%a: tensor<2x3xf32>) {
  %r = hlt.floor %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @ceil(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.ceil %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @ceil(%a: tensor<2x3xf32>) {
  %r = hlt.ceil %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @round(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.round %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @round(%a: tensor<2x3xf32>) {
  %r = hlt.round %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @sqrt(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sqrt %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sqrt(%a: tensor<2x3xf32>) {
  %r = hlt.sqrt %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @rsqrt(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.rsqrt %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @rsqrt(%a: tensor<2x3xf32>) {
  %r = hlt.rsqrt %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @reciprocal(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.reciprocal %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @reciprocal(%a: tensor<2x3xf32>) {
  %r = hlt.reciprocal %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @exp(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.exp %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @exp(%a: tensor<2x3xf32>) {
  %r = hlt.exp %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @log(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.log %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @log(%a: tensor<2x3xf32>) {
  %r = hlt.log %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @sin(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sin %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sin(%a: tensor<2x3xf32>) {
  %r = hlt.sin %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @cos(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.cos %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @cos(%a: tensor<2x3xf32>) {
  %r = hlt.cos %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @tan(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.tan %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @tan(%a: tensor<2x3xf32>) {
  %r = hlt.tan %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @asin(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.asin %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @asin(%a: tensor<2x3xf32>) {
  %r = hlt.asin %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @acos(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.acos %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @acos(%a: tensor<2x3xf32>) {
  %r = hlt.acos %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @atan(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.atan %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @atan(%a: tensor<2x3xf32>) {
  %r = hlt.atan %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @sinh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.sinh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @sinh(%a: tensor<2x3xf32>) {
  %r = hlt.sinh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @cosh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.cosh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @cosh(%a: tensor<2x3xf32>) {
  %r = hlt.cosh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @tanh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.tanh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @tanh(%a: tensor<2x3xf32>) {
  %r = hlt.tanh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @asinh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.asinh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @asinh(%a: tensor<2x3xf32>) {
  %r = hlt.asinh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @acosh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.acosh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @acosh(%a: tensor<2x3xf32>) {
  %r = hlt.acosh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @atanh(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.atanh %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @atanh(%a: tensor<2x3xf32>) {
  %r = hlt.atanh %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @erf(%a: tensor<2x3xf32>) {
// CHECK-NEXT:    %r = hlt.erf %a : tensor<2x3xf32>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @erf(%a: tensor<2x3xf32>) {
  %r = hlt.erf %a : tensor<2x3xf32>
  func.return
}

// CHECK-LABEL: func.func @is_nan(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.is_nan %a : (tensor<2xf32>) -> tensor<2xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @is_nan(%a: tensor<2xf32>) {
  %r = hlt.is_nan %a : (tensor<2xf32>) -> tensor<2xi1>
  func.return
}

// CHECK-LABEL: func.func @is_inf(%a: tensor<2xf32>) {
// CHECK-NEXT:    %r = hlt.is_inf %a <positive = true, negative = false> : (tensor<2xf32>) -> tensor<2xi1>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @is_inf(%a: tensor<2xf32>) {
  %r = hlt.is_inf %a <positive = true, negative = false> : (tensor<2xf32>) -> tensor<2xi1>
  func.return
}

// CHECK-LABEL: func.func @add_2(%a: tensor<2xui8>, %b: tensor<2xui8>) {
// CHECK-NEXT:    %r = hlt.add %a, %b {hlt.node = "n (Add)"} : tensor<2xui8>
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @add_2(%a: tensor<2xui8>, %b: tensor<2xui8>) {
  %r = hlt.add %a, %b {hlt.node = "n (Add)"} : tensor<2xui8>
  func.return
}
