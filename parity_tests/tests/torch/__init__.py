"""Tests of `torch_retinanet`'s network, losses and detector."""
