"""mlc: a multi-level compiler from ONNX models to fast native code."""
