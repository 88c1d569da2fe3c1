"""The instrument that holds the PyTorch RetinaNet against its Keras reference, and the tests of all three packages."""
