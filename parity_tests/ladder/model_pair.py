"""Two models of one's own as a command takes them, `--pair module:name`: each is made where it is needed."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.rule.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """A reference, a port, and what both are fed.

    Attributes:
        reference, port: functions that make the models, so that one is recorded where the other cannot be made.
        inputs: as `compare_models` takes them.
        settings: what else `compare_models` takes, as `names`, `layouts`, `loss` and `skip`.
    """

    reference: Callable[[], Any]
    port: Callable[[], Any]
    inputs: Any
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of_side(self, name: str, side: int) -> Any:
        """A setting that has one value a side, for the side of this place; `None` where there is none."""
        return self.settings[name][side] if name in self.settings else None


def load_pair(text: str) -> ModelPair:
    """The pair that `module:name` stands for; modules are looked for in the working folder too.

    Raises:
        UsageError: for what is no such name, and for what is no `ModelPair`.
    """
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise UsageError(f"--pair: {text!r} must be MODULE:NAME, as my_models:pair")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        pair = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UsageError(f"--pair: {text!r} cannot be loaded, since there is no module {error.name!r}") from None
    except AttributeError:
        raise UsageError(f"--pair: {module!r} has no {name!r}") from None
    if not isinstance(pair, ModelPair):
        raise UsageError(f"--pair: {text!r} is a {type(pair).__name__}, and must be a parity_tests.ModelPair")
    return pair
