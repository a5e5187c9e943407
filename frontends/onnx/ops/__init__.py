"""ONNX operators by family: one importer function per operator."""
