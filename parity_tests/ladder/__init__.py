"""The ladder for any two models: what is compared, step by step.

from parity_tests import KerasModel, TorchModule, compare_models, randomise

randomise(keras_model)  # fresh weights hide mistakes
result = compare_models(
    KerasModel(keras_model, taps={"conv": "conv", "norm": "norm", "relu": "act"}),
    TorchModule(torch_model, taps={"conv": "stem.0", "norm": "stem.1", "relu": "stem.2"}),
    images,  # a numpy array as the reference takes it
    names={"stem.0": "conv", "stem.1": "norm", "top": "dense"},
)
assert result.verdict == "equal", result.summary
"""
