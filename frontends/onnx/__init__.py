"""ONNX: safe loading, opset conversion, import to hlt."""
