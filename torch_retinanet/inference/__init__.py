"""The network in a form for inference: the same outputs in less time; `RetinaNetDetector.optimize` makes it.

`folding` puts BatchNorm into convolutions, `packed` runs a convolution with its ReLU and its sum in one kernel,
`winograd` needs a quarter of the products for those of 3x3 pixels, `box_values` predicts boxes only where a class is
found. `network` puts them together.
"""
