// RUN: mlc opt %s -p canonicalize --verify-each | filecheck %s

// Element-wise arithmetic, exact down to signs of zero, infinities and NaN.

// CHECK-LABEL: func.func @constant_to_the_right(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<3.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.add %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @constant_to_the_right(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<3.0> : tensor<4xf32>
  %r = hlt.add %c, %x : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @compared_constant_to_the_right(%x: tensor<4xf32>) -> tensor<4xi1> {
// CHECK-NEXT:    %c = hlt.constant dense<3.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.compare %x, %c <predicate = "gt"> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
// CHECK-NEXT:    func.return %r : tensor<4xi1>
// CHECK-NEXT:  }
func.func @compared_constant_to_the_right(%x: tensor<4xf32>) -> tensor<4xi1> {
  %c = hlt.constant dense<3.0> : tensor<4xf32>
  %r = hlt.compare %c, %x <predicate = "lt"> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  func.return %r : tensor<4xi1>
}

// CHECK-LABEL: func.func @add_of_negative_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @add_of_negative_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<-0.0> : tensor<4xf32>
  %r = hlt.add %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// -0.0 + 0.0 is 0.0: the sum stays.
// CHECK-LABEL: func.func @add_of_positive_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.add %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @add_of_positive_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %r = hlt.add %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @add_of_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
// CHECK-NEXT:    func.return %x : tensor<4xi32>
// CHECK-NEXT:  }
func.func @add_of_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c = hlt.constant dense<0> : tensor<4xi32>
  %r = hlt.add %x, %c : tensor<4xi32>
  func.return %r : tensor<4xi32>
}

// CHECK-LABEL: func.func @add_of_negation(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.sub %y, %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @add_of_negation(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %n = hlt.neg %x : tensor<4xf32>
  %r = hlt.add %n, %y : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @sub_of_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @sub_of_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %r = hlt.sub %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @sub_of_negation(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.add %x, %y : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @sub_of_negation(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %n = hlt.neg %y : tensor<4xf32>
  %r = hlt.sub %x, %n : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// 0.0 - 0.0 is 0.0, but the negation of 0.0 is -0.0.
// CHECK-LABEL: func.func @sub_from_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.sub %c, %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @sub_from_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %r = hlt.sub %c, %x : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @sub_from_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
// CHECK-NEXT:    %r = hlt.neg %x : tensor<4xi32>
// CHECK-NEXT:    func.return %r : tensor<4xi32>
// CHECK-NEXT:  }
func.func @sub_from_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c = hlt.constant dense<0> : tensor<4xi32>
  %r = hlt.sub %c, %x : tensor<4xi32>
  func.return %r : tensor<4xi32>
}

// CHECK-LABEL: func.func @factor_of_one(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @factor_of_one(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<1.0> : tensor<4xf32>
  %a = hlt.mul %x, %c : tensor<4xf32>
  %r = hlt.div %a, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @factor_of_minus_one(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.neg %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @factor_of_minus_one(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<-1.0> : tensor<4xf32>
  %r = hlt.mul %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// An infinity times zero is NaN.
// CHECK-LABEL: func.func @factor_of_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.mul %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @factor_of_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %r = hlt.mul %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @factor_of_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
// CHECK-NEXT:    %c = hlt.constant dense<0> : tensor<4xi32>
// CHECK-NEXT:    func.return %c : tensor<4xi32>
// CHECK-NEXT:  }
func.func @factor_of_integer_zero(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c = hlt.constant dense<0> : tensor<4xi32>
  %r = hlt.mul %x, %c : tensor<4xi32>
  func.return %r : tensor<4xi32>
}

// CHECK-LABEL: func.func @integer_constants(%x: tensor<4xi32>) -> tensor<4xi32> {
// CHECK-NEXT:    %0 = hlt.constant dense<7> : tensor<4xi32>
// CHECK-NEXT:    %r = hlt.add %x, %0 : tensor<4xi32>
// CHECK-NEXT:    func.return %r : tensor<4xi32>
// CHECK-NEXT:  }
func.func @integer_constants(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c = hlt.constant dense<3> : tensor<4xi32>
  %d = hlt.constant dense<4> : tensor<4xi32>
  %a = hlt.add %x, %c : tensor<4xi32>
  %r = hlt.add %a, %d : tensor<4xi32>
  func.return %r : tensor<4xi32>
}

// Sums of floats are not associative.
// CHECK-LABEL: func.func @float_constants(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<3.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %d = hlt.constant dense<4.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %a = hlt.add %x, %c : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.add %a, %d : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @float_constants(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<3.0> : tensor<4xf32>
  %d = hlt.constant dense<4.0> : tensor<4xf32>
  %a = hlt.add %x, %c : tensor<4xf32>
  %r = hlt.add %a, %d : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @division_by_power_of_two(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<1.250000e-01> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.mul %x, %0 : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @division_by_power_of_two(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<8.0> : tensor<4xf32>
  %r = hlt.div %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @division_by_three(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<3.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.div %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @division_by_three(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<3.0> : tensor<4xf32>
  %r = hlt.div %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// The reciprocal of 2^127 is not a normal number.
// CHECK-LABEL: func.func @division_by_huge_power_of_two(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<1.70141183e+38> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.div %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @division_by_huge_power_of_two(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<1.70141183e+38> : tensor<4xf32>
  %r = hlt.div %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @one_over(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.reciprocal %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @one_over(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<1.0> : tensor<4xf32>
  %r = hlt.div %c, %x : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @involution(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @involution(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = hlt.neg %x : tensor<4xf32>
  %r = hlt.neg %a : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @abs_of_sign_change(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.abs %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @abs_of_sign_change(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = hlt.neg %x : tensor<4xf32>
  %b = hlt.abs %a : tensor<4xf32>
  %r = hlt.abs %b : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// Negated, an unsigned number is another one.
// CHECK-LABEL: func.func @abs_of_unsigned(%x: tensor<4xui8>) -> tensor<4xui8> {
// CHECK-NEXT:    %a = hlt.neg %x : tensor<4xui8>
// CHECK-NEXT:    func.return %a : tensor<4xui8>
// CHECK-NEXT:  }
func.func @abs_of_unsigned(%x: tensor<4xui8>) -> tensor<4xui8> {
  %a = hlt.neg %x : tensor<4xui8>
  %r = hlt.abs %a : tensor<4xui8>
  func.return %r : tensor<4xui8>
}

// The largest float bounds infinity; infinity bounds nothing.
// CHECK-LABEL: func.func @extreme_of_infinity(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<"0xFFFFFF7F"> : tensor<4xf32>
// CHECK-NEXT:    %a = hlt.minimum %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %a : tensor<4xf32>
// CHECK-NEXT:  }
func.func @extreme_of_infinity(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<"0xFFFFFF7F"> : tensor<4xf32>
  %d = hlt.constant dense<"0x0000807F"> : tensor<4xf32>
  %a = hlt.minimum %x, %c : tensor<4xf32>
  %r = hlt.minimum %a, %d : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @extreme_of_extreme(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %0 = hlt.constant dense<2.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.maximum %x, %0 : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @extreme_of_extreme(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<1.0> : tensor<4xf32>
  %d = hlt.constant dense<2.0> : tensor<4xf32>
  %a = hlt.maximum %x, %c : tensor<4xf32>
  %r = hlt.maximum %a, %d : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// Zeros of different sign are left alone.
// CHECK-LABEL: func.func @extreme_of_zeros(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %d = hlt.constant dense<-0.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    %a = hlt.maximum %x, %c : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.maximum %a, %d : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @extreme_of_zeros(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %d = hlt.constant dense<-0.0> : tensor<4xf32>
  %a = hlt.maximum %x, %c : tensor<4xf32>
  %r = hlt.maximum %a, %d : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @idempotent(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @idempotent(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = hlt.maximum %x, %x : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @bits_of_constant(%x: tensor<4xi32>) -> tensor<4xi32> {
// CHECK-NEXT:    func.return %x : tensor<4xi32>
// CHECK-NEXT:  }
func.func @bits_of_constant(%x: tensor<4xi32>) -> tensor<4xi32> {
  %c = hlt.constant dense<-1> : tensor<4xi32>
  %a = hlt.and %x, %c : tensor<4xi32>
  %d = hlt.constant dense<0> : tensor<4xi32>
  %r = hlt.or %a, %d : tensor<4xi32>
  func.return %r : tensor<4xi32>
}

// CHECK-LABEL: func.func @power_two(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.mul %x, %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_two(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<2.0> : tensor<4xf32>
  %r = hlt.pow %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @power_three(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %0 = hlt.mul %x, %x : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.mul %0, %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_three(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<3.0> : tensor<4xf32>
  %r = hlt.pow %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @power_minus_one(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.reciprocal %x : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_minus_one(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<-1.0> : tensor<4xf32>
  %r = hlt.pow %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @power_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.constant dense<1.000000e+00> : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.0> : tensor<4xf32>
  %r = hlt.pow %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// The square root of -inf is NaN, its power is inf.
// CHECK-LABEL: func.func @power_half(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %c = hlt.constant dense<5.000000e-01> : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.pow %x, %c : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_half(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.5> : tensor<4xf32>
  %r = hlt.pow %x, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @power_half_of_square(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %a = hlt.mul %x, %x : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.sqrt %a : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_half_of_square(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<0.5> : tensor<4xf32>
  %a = hlt.mul %x, %x : tensor<4xf32>
  %r = hlt.pow %a, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @power_minus_half_of_exp(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %a = hlt.exp %x : tensor<4xf32>
// CHECK-NEXT:    %r = hlt.rsqrt %a : tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @power_minus_half_of_exp(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<-0.5> : tensor<4xf32>
  %a = hlt.exp %x : tensor<4xf32>
  %r = hlt.pow %a, %c : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @cast_to_itself(%x: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @cast_to_itself(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = hlt.cast %x <dtype = f32, saturate = true> : tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @cast_of_cast(%x: tensor<4xi8>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.cast %x <dtype = f32, saturate = true> : (tensor<4xi8>) -> tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @cast_of_cast(%x: tensor<4xi8>) -> tensor<4xf32> {
  %a = hlt.cast %x <dtype = i32, saturate = true> : (tensor<4xi8>) -> tensor<4xi32>
  %r = hlt.cast %a <dtype = f32, saturate = true> : (tensor<4xi32>) -> tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// Not every i32 is an f32.
// CHECK-LABEL: func.func @cast_of_lossy_cast(%x: tensor<4xi32>) -> tensor<4xf64> {
// CHECK-NEXT:    %a = hlt.cast %x <dtype = f32, saturate = true> : (tensor<4xi32>) -> tensor<4xf32>
// CHECK-NEXT:    %r = hlt.cast %a <dtype = f64, saturate = true> : (tensor<4xf32>) -> tensor<4xf64>
// CHECK-NEXT:    func.return %r : tensor<4xf64>
// CHECK-NEXT:  }
func.func @cast_of_lossy_cast(%x: tensor<4xi32>) -> tensor<4xf64> {
  %a = hlt.cast %x <dtype = f32, saturate = true> : (tensor<4xi32>) -> tensor<4xf32>
  %r = hlt.cast %a <dtype = f64, saturate = true> : (tensor<4xf32>) -> tensor<4xf64>
  func.return %r : tensor<4xf64>
}

// A float saturates to i8; an i16 would wrap.
// CHECK-LABEL: func.func @cast_through_float(%x: tensor<4xi16>) -> tensor<4xi8> {
// CHECK-NEXT:    %a = hlt.cast %x <dtype = f32, saturate = true> : (tensor<4xi16>) -> tensor<4xf32>
// CHECK-NEXT:    %r = hlt.cast %a <dtype = i8, saturate = true> : (tensor<4xf32>) -> tensor<4xi8>
// CHECK-NEXT:    func.return %r : tensor<4xi8>
// CHECK-NEXT:  }
func.func @cast_through_float(%x: tensor<4xi16>) -> tensor<4xi8> {
  %a = hlt.cast %x <dtype = f32, saturate = true> : (tensor<4xi16>) -> tensor<4xf32>
  %r = hlt.cast %a <dtype = i8, saturate = true> : (tensor<4xf32>) -> tensor<4xi8>
  func.return %r : tensor<4xi8>
}

// CHECK-LABEL: func.func @select_of_known(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    func.return %x : tensor<4xf32>
// CHECK-NEXT:  }
func.func @select_of_known(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %c = hlt.constant dense<true> : tensor<4xi1>
  %r = hlt.select %c, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @select_of_booleans(%x: tensor<4xi1>) -> tensor<4xi1> {
// CHECK-NEXT:    %r = hlt.not %x : tensor<4xi1>
// CHECK-NEXT:    func.return %r : tensor<4xi1>
// CHECK-NEXT:  }
func.func @select_of_booleans(%x: tensor<4xi1>) -> tensor<4xi1> {
  %c = hlt.constant dense<false> : tensor<4xi1>
  %d = hlt.constant dense<true> : tensor<4xi1>
  %r = hlt.select %x, %c, %d : tensor<4xi1>
  func.return %r : tensor<4xi1>
}

// CHECK-LABEL: func.func @select_of_negation(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT:    %r = hlt.select %c, %y, %x : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
// CHECK-NEXT:    func.return %r : tensor<4xf32>
// CHECK-NEXT:  }
func.func @select_of_negation(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %n = hlt.not %c : tensor<4xi1>
  %r = hlt.select %n, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return %r : tensor<4xf32>
}

// CHECK-LABEL: func.func @negated_comparison(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi1> {
// CHECK-NEXT:    %r = hlt.compare %x, %y <predicate = "ge"> : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
// CHECK-NEXT:    func.return %r : tensor<4xi1>
// CHECK-NEXT:  }
func.func @negated_comparison(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi1> {
  %a = hlt.compare %x, %y <predicate = "lt"> : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1>
  %r = hlt.not %a : tensor<4xi1>
  func.return %r : tensor<4xi1>
}

// Both fail on NaN.
// CHECK-LABEL: func.func @negated_float_comparison(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xi1> {
// CHECK-NEXT:    %a = hlt.compare %x, %y <predicate = "lt"> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
// CHECK-NEXT:    %r = hlt.not %a : tensor<4xi1>
// CHECK-NEXT:    func.return %r : tensor<4xi1>
// CHECK-NEXT:  }
func.func @negated_float_comparison(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xi1> {
  %a = hlt.compare %x, %y <predicate = "lt"> : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  %r = hlt.not %a : tensor<4xi1>
  func.return %r : tensor<4xi1>
}
