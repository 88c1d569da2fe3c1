"""Files that hold tensors by name, each read without running code: one module a container."""
