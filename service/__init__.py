"""How an inspector is served: HTTP, decoding, batching, ONNX Runtime, verdicts, overlays."""
