"""A model of one's own that is recorded, and held against its port where its framework is not installed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from parity_tests.bundle.check import recorded_about
from parity_tests.bundle.files import Bundle
from parity_tests.bundle.record import record
from parity_tests.ladder.case import Case
from parity_tests.ladder.checks import check_batches, check_function, check_tables, check_words
from parity_tests.ladder.compare_models import DTYPES, RUNGS, check_training, compared_models, rungs_for
from parity_tests.ladder.pairing import comparison
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array, Where
from parity_tests.rule.result import Result
from parity_tests.sides.adapter import Ordinary
from parity_tests.sides.adapters import adapted
from parity_tests.sides.layouts import Layout
from parity_tests.sides.side import Loss, Side

FACTS: Mapping[str, Any] = {
    "words": str,
    "layout": str,
    "taps": {str: str},
    "flat": [str],
    "terms": {str: int},
    **dict.fromkeys(("has_modules", "has_parameters", "has_gradients", "sees_inputs", "writes_taps", "has_loss"), bool),
    "rungs": [str],
}
"""What the manifest has of a recorded model, in which form."""

INPUTS = Where(subject="inputs")


@dataclass(frozen=True, kw_only=True)
class RecordedModel(Ordinary):
    """A model of which only a bundle is there: it stands for the reference where names are paired, and is not run."""

    weights: Mapping[str, Array]
    words: str
    layout: Layout
    taps: Mapping[str, str]
    flat: Collection[str]
    terms: Mapping[str, int]
    writes_taps: bool
    has_modules: bool
    has_parameters: bool
    has_gradients: bool
    sees_inputs: bool

    def check(self, argument: str) -> None:
        """It was run when it was recorded."""

    def tap_paths(self, argument: str, inputs: Sequence[Array]) -> dict[str, str]:
        return dict(self.taps)

    def open(self, dtype: str, taps: Mapping[str, str] | None) -> Any:
        return self

    def parameters(self) -> Mapping[str, Array]:
        return {name: values.copy() for name, values in self.weights.items()}

    def assign(self, values: Mapping[str, Array]) -> None:
        raise NotImplementedError


def recorded(bundle: Bundle) -> RecordedModel:
    """The model that a bundle is of.

    Raises:
        UsageError: for a bundle that says too little of it.
    """
    facts = {name: bundle.of(name, form) for name, form in FACTS.items()}
    if facts["layout"] not in get_args(Layout):
        raise UsageError(f"{bundle.folder}: layout {facts['layout']!r} must be one of {', '.join(get_args(Layout))}")
    return RecordedModel(weights=bundle.weights, **{n: facts[n] for n in FACTS if n not in ("rungs", "has_loss")})


def record_model(
    reference: Any,
    inputs: Any,
    folder: Path | str,
    *,
    loss: Loss | None = None,
    optimizer: Callable[[Any], Any] | None = None,
    batches: Sequence[Any] = (),
    rungs: Sequence[str] = (),
) -> None:
    """Write what a reference makes of the inputs, to be held against a port by `check_model`.

    Args:
        reference, inputs, rungs: as `compare_models` takes them.
        folder: where to write; a bundle that is there is replaced.
        loss, optimizer: those of the reference.
        batches: the inputs of each step of a training run.

    Raises:
        UsageError: for an argument that breaks a rule.
        OSError: where the folder cannot be written.
    """
    check_function("loss", loss)
    check_function("optimizer", optimizer)
    model = adapted("reference", reference)
    one_loss, one = (None if loss is None else (loss, loss)), (None if optimizer is None else (optimizer, optimizer))
    settings = {"losses": one_loss, "optimizers": one, "batches": check_batches(batches)}
    two = comparison(model, model, inputs, names={}, layouts={}, skip={}, **settings)
    asked = rungs_for(two, rungs)
    check_training(two, asked)
    cases = [case for rung in asked for case in RUNGS[rung](two)]
    given = {"inputs": list(two.inputs), "batches": two.batches}
    of_inputs: Case[Side] = Case(
        rung="inputs",
        where=INPUTS,
        reference=lambda sides: given,
        port=lambda sides, answer: {},
        judge=lambda reference, port: [],
        whole=tuple(given),
    )
    of_model = [name for name in FACTS if name not in ("taps", "flat", "terms", "rungs", "has_loss")]
    facts = {name: getattr(model, name) for name in of_model} | {"has_loss": loss is not None}
    facts |= {"taps": dict.fromkeys(two.taps.port, "") | dict(two.paths[0]), "flat": sorted(model.flat)}
    facts |= {"terms": dict(model.terms), "rungs": asked}
    record([of_inputs, *cases], two.sides, two.weights, Path(folder), about=facts)


def check_model(
    folder: Path | str,
    port: Any,
    *,
    names: Mapping[str, str] | None = None,
    layouts: Mapping[str, Sequence[int]] | None = None,
    loss: Loss | None = None,
    optimizer: Callable[[Any], Any] | None = None,
    skip: Mapping[str, str] | None = None,
    dtypes: Sequence[str] = DTYPES,
) -> Result:
    """Hold a port against a reference that `record_model` wrote; arguments are as `compare_models` takes them.

    Raises:
        UsageError: for a bundle that is damaged or of another kind, and for an argument that breaks a rule.
    """
    check_words("dtypes", dtypes, DTYPES)
    check_tables(names=names, layouts=layouts, skip=skip)
    check_function("loss", loss)
    check_function("optimizer", optimizer)
    bundle = Bundle(Path(folder))
    rungs = bundle.of("rungs", [str])
    reference: Any = recorded(bundle)  # has what an adapter has
    if wrong := next((rung for rung in rungs if rung not in RUNGS), None):
        raise UsageError(f"{folder}: rung {wrong!r} must be one of {', '.join(RUNGS)}")
    if bundle.of("has_loss", bool) != (loss is not None):
        how = "without one" if loss is not None else "with one"
        raise UsageError(f"loss: the reference was recorded {how}, and the port must be checked likewise")
    given = bundle[f"inputs {INPUTS.text}"]
    two = comparison(
        reference,
        adapted("port", port),
        given["inputs"],
        names=names,
        layouts=layouts or {},
        skip=skip or {},
        losses=None if loss is None else (loss, loss),
        optimizers=None if optimizer is None else (optimizer, optimizer),
        batches=given["batches"],
        dtypes=dtypes,
    )
    two.sides.recorded = recorded_about(bundle)
    return compared_models(two, rungs, {"names": dict(two.names)}, bundle)
