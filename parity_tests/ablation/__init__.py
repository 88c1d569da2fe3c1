"""Ablation: one convention at a time is changed in the PyTorch model, and what that changes is measured.

The model in the preset's own conventions stands for the reference, to which the ladder proves it equal; hence nothing
of Keras is needed. Where an override shows, and at which sizes, is the ladder's to say; what it costs is measured on a
small model trained on digits.
"""
