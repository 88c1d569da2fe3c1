"""What a comparison must know of a side before a precision is chosen. Needs numpy alone."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args

from parity_tests.rule.errors import UsageError, in_one_line
from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Layout
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import ROOT, Side

Same = TypeVar("Same", bound="Ordinary")


class Returned(NamedTuple):
    """What a recurrent layer of Keras returns.

    Attributes:
        sequences: every step, and not the last one alone.
        states: its states, too.
    """

    sequences: bool
    states: bool


class Ordinary:
    """A side of which nothing out of the ordinary is known: one that knows more says so."""

    def wholes(self) -> Mapping[str, bool]:
        """Layers that are made of layers and count as one, by path: whether other frameworks give the same results.

        Recurrent layers and attention give theirs in a form of their own.
        """
        return {}

    def activated(self, paths: Collection[str]) -> set[str]:
        """The paths of layers that apply an activation of their own to what a framework without such layers gives."""
        return set()

    def bare(self, paths: Collection[str]) -> set[str]:
        """The paths of layers that are sums of products and no more: an activation comes after them, if any."""
        return set()

    def before_activations(self: Same, paths: Collection[str]) -> Same:
        """The same, with the results of layers at these paths taken before their own activations."""
        assert not paths, "none is activated"
        return self

    def returns(self, paths: Collection[str]) -> dict[str, Returned]:
        """What recurrent layers at these paths return, or the model itself at an empty one, as far as it says so."""
        return {}

    def results_first(self) -> set[str]:
        """The kernels of dense layers of Keras whose results come first, as in torch: a square one does not show it."""
        return set()

    def steps_last(self, paths: Collection[str]) -> dict[str, bool]:
        """By path whether a layer has the channels of steps, arrays of three axes, last or second, if known."""
        return {}

    def channels_last(self, paths: Collection[str]) -> dict[str, bool] | None:
        """By path whether a layer has its channels last, wherever the side has those of its maps, or as maps have them.

        A dense layer has, and a convolution has not; `None` where nothing is known of layers.
        """
        return None

    def recurrent(self, paths: Collection[str]) -> set[str]:
        """The paths of modules that always return both, steps and states, which are to be brought in another form."""
        return set()

    def returning(self: Same, forms: Mapping[str, Returned]) -> Same:
        """The same, with results of recurrent modules at these paths in these forms."""
        assert not forms, "none is recurrent"
        return self


class Adapter(Ordinary, ABC):
    """One of the two sides of a comparison, before a precision is chosen.

    Attributes:
        layout: where it has the channels of its maps.
        taps: which of its results are compared.
        has_modules: whether its modules can be fed one by one.
        has_parameters: whether it has parameters, which can be given others.
        has_gradients: whether it can be run back.
        may_be_folded: whether what wrote it may have made several parameters one.
        made: its parameters that were made of others, in float32.
    """

    layout: Layout
    taps: Mapping[str, str] | OwnTaps | None = None
    has_modules: ClassVar[bool] = False
    has_parameters: ClassVar[bool] = True
    has_gradients: ClassVar[bool] = True
    may_be_folded: ClassVar[bool] = False
    made: Collection[str] = ()

    def __post_init__(self) -> None:
        if self.layout not in get_args(Layout):
            raise UsageError(f"layout: {self.layout!r} must be one of {', '.join(get_args(Layout))}")
        if self.taps is not None and not isinstance(self.taps, OwnTaps) and not _is_table(self.taps):
            raise UsageError(f"taps: {self.taps!r} must be a dictionary of paths by name, or OwnTaps()")

    @property
    def writes_taps(self) -> bool:
        """Whether the model writes its taps itself."""
        return isinstance(self.taps, OwnTaps)

    @property
    def sees_inputs(self) -> bool:
        """Whether what arrives at a tap is captured, beside what it makes."""
        return self.has_modules and not self.writes_taps

    @property
    def flat(self) -> Collection[str]:
        """Taps that lie alike on both sides, though they have four axes or more."""
        return self.taps.flat if isinstance(self.taps, OwnTaps) else ()

    @property
    def terms(self) -> Mapping[str, int]:
        """The products in the longest sum of taps whose parameters cannot be seen."""
        return self.taps.terms if isinstance(self.taps, OwnTaps) else {}

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, in words."""

    @abstractmethod
    def check(self, argument: str) -> None:
        """Refuse what cannot be run; `argument` is what a refusal calls it."""

    def tap_paths(self, argument: str, inputs: Sequence[Array]) -> dict[str, str]:
        """What `open` takes, for every tap; the model's own output has an empty path.

        Args:
            argument: what a refusal calls the side.
            inputs: on which the model runs, where its taps show only then.
        """
        return shown_when_run(argument, self, inputs)

    @abstractmethod
    def open(self, dtype: str, taps: Mapping[str, str] | None) -> Side:
        """The side in one precision, tapped at these paths; `None` for all that show when it runs."""

    @abstractmethod
    def assign(self, values: Mapping[str, Array]) -> None:
        """Change parameters of the user's own model, for good."""


def _is_table(taps: Any) -> bool:
    return isinstance(taps, Mapping) and all(isinstance(text, str) for pair in taps.items() for text in pair)


def with_output(argument: str, paths: Mapping[str, str]) -> dict[str, str]:
    """Taps, and the output of the model itself, which no tap may be called."""
    if ROOT in paths:
        raise UsageError(f"{argument} taps: {ROOT!r} is the model's own result, and a tap must have another name")
    return {**paths, ROOT: ""}


def apart(name: str) -> str:
    """The tap of a module that is called like the model's own result or input, or that lies in one that is."""
    first, dot, rest = name.partition(".")
    return f"{first}_layer{dot}{rest}" if first in (ROOT, "input") else name


def shown_when_run(argument: str, adapter: Adapter, inputs: Sequence[Array]) -> dict[str, str]:
    """The taps that show when a side runs, by their own names."""
    try:
        calls = adapter.open("float64", None).forward(inputs)
    except UsageError:
        raise
    except Exception as error:  # whatever a model of the user's raises
        raise UsageError(f"{argument}: does not run on the inputs ({in_one_line(error)})") from error
    if not calls and adapter.writes_taps:
        raise UsageError(f"{argument}: the model writes no tap, and OwnTaps() is for one that does")
    return {name: name for name in calls if adapter.writes_taps or "#" not in name}
