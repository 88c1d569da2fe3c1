"""What either side raises, as far as it was imported."""

import sys

from parity_tests.rule.errors import InputError


def input_errors() -> tuple[type[Exception], ...]:
    """What either side raises for wrong input."""
    wings = [sys.modules[name] for name in ("torch_retinanet", "keras_reference") if name in sys.modules]
    return (InputError, *(wing.InputError for wing in wings))
