"""Any two models held against each other as the RetinaNets are: the same ladder, rule and reports.

Needs numpy alone; torch or Keras is loaded where a side of it is opened.
"""

from parity_tests.library.adapters import Function, KerasModel, TorchModule
from parity_tests.library.models import compare_models
from parity_tests.library.randomise import randomise

__all__ = ["Function", "KerasModel", "TorchModule", "compare_models", "randomise"]
