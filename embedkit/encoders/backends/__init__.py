"""One module per library that builds models: a torch module for an engine, or an ONNX graph that runs as it is."""
