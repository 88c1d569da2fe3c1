"""Tests of `torch_retinanet.data`."""
