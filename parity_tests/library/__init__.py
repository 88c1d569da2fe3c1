"""Any two models held against each other as the RetinaNets are: the same ladder, rule and reports.

    from parity_tests import KerasModel, TorchModule, compare_models, randomise

    randomise(keras_model)  # fresh weights hide mistakes
    result = compare_models(
        KerasModel(keras_model, taps={"conv": "conv", "norm": "norm", "relu": "act"}),
        TorchModule(torch_model, taps={"conv": "stem.0", "norm": "stem.1", "relu": "stem.2"}),
        images,  # a numpy array as the reference takes it
        names={"stem.0": "conv", "stem.1": "norm", "top": "dense"},
    )
    assert result.verdict == "equal", result.summary

Needs numpy alone; torch or Keras is loaded where a side of it is opened.
"""

from parity_tests.library.adapters import Function, KerasModel, TorchModule
from parity_tests.library.models import compare_models
from parity_tests.library.randomise import randomise

__all__ = ["Function", "KerasModel", "TorchModule", "compare_models", "randomise"]
