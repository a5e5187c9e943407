// RUN: mlc opt %s | filecheck %s
// RUN: mlc opt %s --print-op-generic | mlc opt | filecheck %s

// Recurrent cells; operands that may be left out carry their names.

// CHECK-LABEL: func.func @lstm(%a: tensor<5x1x3xf32>, %b: tensor<1x16x3xf32>, %c: tensor<1x16x4xf32>) {
// CHECK-NEXT:    %r, %s, %t = hlt.lstm %a, w = %b, %c <direction = "forward", activations = ["Sigmoid", "Tanh", "Tanh"], activation_alpha = [], activation_beta = [], input_forget = false> : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @lstm(%a: tensor<5x1x3xf32>, %b: tensor<1x16x3xf32>, %c: tensor<1x16x4xf32>) {
  %r, %s, %t = hlt.lstm %a, w = %b, %c <direction = "forward", activations = ["Sigmoid", "Tanh", "Tanh"], activation_alpha = [], activation_beta = [], input_forget = false> : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
  func.return
}

// CHECK-LABEL: func.func @gru(%a: tensor<5x1x3xf32>, %b: tensor<1x12x3xf32>, %c: tensor<1x12x4xf32>) {
// CHECK-NEXT:    %r, %s = hlt.gru %a, w = %b, %c <direction = "forward", activations = ["Sigmoid", "Tanh"], activation_alpha = [], activation_beta = [], linear_before_reset = false> : (tensor<5x1x3xf32>, tensor<1x12x3xf32>, tensor<1x12x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @gru(%a: tensor<5x1x3xf32>, %b: tensor<1x12x3xf32>, %c: tensor<1x12x4xf32>) {
  %r, %s = hlt.gru %a, w = %b, %c <direction = "forward", activations = ["Sigmoid", "Tanh"], activation_alpha = [], activation_beta = [], linear_before_reset = false> : (tensor<5x1x3xf32>, tensor<1x12x3xf32>, tensor<1x12x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
  func.return
}

// CHECK-LABEL: func.func @rnn(%a: tensor<5x1x3xf32>, %b: tensor<1x4x3xf32>, %c: tensor<1x4x4xf32>) {
// CHECK-NEXT:    %r, %s = hlt.rnn %a, w = %b, %c <direction = "forward", activations = ["Tanh"], activation_alpha = [], activation_beta = []> : (tensor<5x1x3xf32>, tensor<1x4x3xf32>, tensor<1x4x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @rnn(%a: tensor<5x1x3xf32>, %b: tensor<1x4x3xf32>, %c: tensor<1x4x4xf32>) {
  %r, %s = hlt.rnn %a, w = %b, %c <direction = "forward", activations = ["Tanh"], activation_alpha = [], activation_beta = []> : (tensor<5x1x3xf32>, tensor<1x4x3xf32>, tensor<1x4x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
  func.return
}

// CHECK-LABEL: func.func @lstm_2(%a: tensor<5x1x3xf32>, %b: tensor<1x16x3xf32>, %c: tensor<1x16x4xf32>, %d: tensor<1xi32>, %e: tensor<1x1x4xf32>) {
// CHECK-NEXT:    %r, %s, %t = hlt.lstm %a, w = %b, %c, lengths = %d, c0 = %e <direction = "forward", activations = ["Sigmoid", "Tanh", "Tanh"], activation_alpha = [], activation_beta = [], clip = 0.5, input_forget = true> : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, tensor<1xi32>, tensor<1x1x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
// CHECK-NEXT:    func.return
// CHECK-NEXT:    }
func.func @lstm_2(%a: tensor<5x1x3xf32>, %b: tensor<1x16x3xf32>, %c: tensor<1x16x4xf32>, %d: tensor<1xi32>, %e: tensor<1x1x4xf32>) {
  %r, %s, %t = hlt.lstm %a, w = %b, %c, lengths = %d, c0 = %e <direction = "forward", activations = ["Sigmoid", "Tanh", "Tanh"], activation_alpha = [], activation_beta = [], clip = 0.5, input_forget = true> : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>, tensor<1xi32>, tensor<1x1x4xf32>) -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
  func.return
}
