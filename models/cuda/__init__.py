"""The GPU: what is asked of it, the memory that photos go through, and the engines of TensorRT."""
