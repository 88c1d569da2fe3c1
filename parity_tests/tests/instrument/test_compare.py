"""The comparison must be able to fail: twelve mistakes that it catches, and the noise that it lets pass."""

from collections.abc import Callable

import numpy as np
import pytest

from parity_tests.rule.budgets import CASCADED, ISOLATED, float32_budget, own_errors, rounding_budget
from parity_tests.rule.compare import compare_taps, compare_tensor, compare_values
from parity_tests.rule.divergence import divergence
from parity_tests.rule.errors import in_one_line
from parity_tests.rule.record import EXIT_CODES, Array, Record, Verdict, Where, verdict_of

FLOAT64, FLOAT32 = Where(dtype="float64"), Where(dtype="float32")


@pytest.fixture
def feature_map() -> Array:
    """A square map (2,8,8,4) that varies along every axis and has both signs."""
    return np.random.default_rng(0).normal(size=(2, 8, 8, 4))


def compare(reference: Array | None, port: Array | None, units: int = CASCADED) -> Record:
    budget = None if reference is None else rounding_budget(reference, units)
    dtype = "float64" if reference is None else reference.dtype.name
    where = Where(size=(128, 128), dtype=dtype, mode="cascaded")
    return compare_values("forward", where, "p3", reference, port, budget)


def test_single_precision_in_a_case_of_float64_is_no_verdict(feature_map: Array) -> None:
    single = feature_map.astype(np.float32)
    found = compare_values("forward", FLOAT64, "p3", single, single, budget=1.0)
    assert (found.verdict, found.reason) == (
        "incomplete",
        "both sides computed in float32, and the case is float64",
    )


def test_a_budget_that_is_no_number_excuses_nothing() -> None:
    values = np.ones(3)
    found = compare_values("forward", FLOAT64, "p3", values, values * 2, np.array([1.0, np.nan, 1e9]))
    assert found.verdict == "different"


def batch_norm(values: Array, eps: float) -> Array:
    normalised: Array = values / np.sqrt(values.var(axis=(0, 1, 2)) + eps)
    return normalised


def with_one(values: Array, number: float) -> Array:
    changed: Array = values.copy()
    changed[1, 2, 3, 0] = number
    return changed


MISTAKES: dict[str, Callable[[Array], Array]] = {
    "height and width swapped": lambda x: x.swapaxes(1, 2),
    "shifted down by one pixel": lambda x: np.roll(x, 1, axis=1),
    "shifted right by one pixel": lambda x: np.roll(x, 1, axis=2),
    "channels reversed": lambda x: x[..., ::-1],
    "pictures of the batch swapped": lambda x: x[::-1],
    "a NaN": lambda x: with_one(x, np.nan),
    "an infinity": lambda x: with_one(x, np.inf),
    "the batch axis missing": lambda x: x[0],
    "one picture where there should be two": lambda x: x[:1],
    "an offset for each channel": lambda x: x + np.array([0, 0, 1e-9, 0]),
    "another precision": lambda x: x.astype(np.float32),
    "one sign changed": lambda x: with_one(x, -x[1, 2, 3, 0]),
}


@pytest.mark.planted
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_one_of_several_taps_is_named(mistake: str, feature_map: Array) -> None:
    taps = dict.fromkeys(("p3", "p4", "p5"), feature_map)
    wrong = taps | {"p4": MISTAKES[mistake](feature_map)}
    records = compare_taps("forward", FLOAT64, taps, wrong, units=ISOLATED)
    parting = divergence(records)
    assert parting is not None
    assert (parting.first.name, [origin.name for origin in parting.origins]) == ("p4", ["p4"])
    assert parting.first.reason


def test_a_nan_is_caught_on_either_side_and_passes_on_both(feature_map: Array) -> None:
    broken = with_one(feature_map, np.nan)
    assert compare(broken, feature_map).verdict == "different"
    assert compare(broken, broken).verdict == "equal"


def test_infinities_of_another_sign_are_caught(feature_map: Array) -> None:
    assert compare(with_one(feature_map, np.inf), with_one(feature_map, -np.inf)).verdict == "different"


def test_a_tap_without_a_finite_value_proves_nothing(feature_map: Array) -> None:
    assert compare(feature_map * np.nan, feature_map * np.nan).verdict == "incomplete"


@pytest.mark.parametrize("name", ["p4", "p5"])
def test_a_missing_output_is_caught_on_either_side(name: str, feature_map: Array) -> None:
    both = {"p3": feature_map, "p4": feature_map, "p5": feature_map}
    one = {tap: value for tap, value in both.items() if tap != name}
    for reference, port in ((both, one), (one, both)):
        records = compare_taps("forward", FLOAT64, reference, port, units=ISOLATED)
        assert [record.name for record in records if record.verdict == "different"] == [name]


def test_another_epsilon_of_batch_norm_is_caught(feature_map: Array) -> None:
    assert compare(batch_norm(feature_map, 1e-5), batch_norm(feature_map, 1e-3)).verdict == "different"
    assert compare(batch_norm(feature_map, 1.001e-5), batch_norm(feature_map, 1e-5)).verdict == "different"


def test_a_small_gradient_of_the_wrong_sign_is_caught_on_its_own_scale(feature_map: Array) -> None:
    gradients = {"cls_head": feature_map, "stem": 1e-7 * feature_map}
    changed = {"cls_head": feature_map, "stem": -1e-7 * feature_map}
    records = compare_taps("gradients", FLOAT64, gradients, changed, units=ISOLATED)
    assert [record.verdict for record in records] == ["equal", "different"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_unit_of_rounding_passes(dtype: type, feature_map: Array) -> None:
    reference: Array = feature_map.astype(dtype)
    noisy = np.nextafter(reference, np.where(np.arange(4) % 2, np.inf, -np.inf).astype(dtype))
    record = compare(reference, noisy, ISOLATED)
    assert record.verdict == "equal"
    assert record.used is not None
    assert 0 < record.used <= 1 / ISOLATED


def test_the_share_of_the_budget_is_kept_green_or_not(feature_map: Array) -> None:
    half = feature_map + rounding_budget(feature_map, ISOLATED) / 2
    twice = feature_map + rounding_budget(feature_map, ISOLATED) * 2
    assert compare(feature_map, half, ISOLATED).used == pytest.approx(0.5, rel=0.05)
    assert compare(feature_map, twice, ISOLATED).used == pytest.approx(2, rel=0.05)


def test_float32_is_allowed_what_rounding_costs_the_sides(feature_map: Array) -> None:
    exact, rounded = feature_map, feature_map.astype(np.float32)
    noisy = np.nextafter(rounded, np.float32(np.inf))
    budget = float32_budget(ISOLATED, rounded, own_errors(rounded, exact, noisy, exact))
    assert budget < rounding_budget(rounded, 4)
    assert compare_values("forward", FLOAT32, "p3", rounded, noisy, budget).verdict == "equal"


@pytest.mark.parametrize("mistake", ["height and width swapped", "one sign changed", "channels reversed", "an offset"])
def test_a_mistake_in_float32_alone_does_not_allow_itself(mistake: str, feature_map: Array) -> None:
    exact, rounded = feature_map, feature_map.astype(np.float32)
    wrong = rounded + np.float32(1e-2) if mistake == "an offset" else MISTAKES[mistake](rounded)
    budget = float32_budget(CASCADED, rounded, own_errors(rounded, exact, wrong, exact))
    assert compare_values("forward", FLOAT32, "p3", rounded, wrong, budget).verdict == "different"


@pytest.mark.parametrize(("relative", "verdict"), [(3e-7, "equal"), (2e-6, "different"), (5e-5, "different")])
def test_a_small_mistake_in_float32_alone_does_not_either(relative: float, verdict: str, feature_map: Array) -> None:
    exact, rounded = feature_map, feature_map.astype(np.float32)
    wrong = (exact * (1 + relative)).astype(np.float32)
    budget = float32_budget(CASCADED, rounded, own_errors(rounded, exact, wrong, exact))
    assert compare_values("forward", FLOAT32, "p3", rounded, wrong, budget).verdict == verdict


def test_a_difference_too_large_for_a_number_is_caught() -> None:
    huge = np.full((1, 2), 1e308)
    assert compare(huge, -huge).verdict == "different"


def test_a_tap_without_a_budget_is_incomplete(feature_map: Array) -> None:
    taps = {"p3": feature_map, "p4": feature_map}
    records = compare_taps("forward", FLOAT32, taps, taps, budgets={"p3": 1.0})
    assert [record.verdict for record in records] == ["equal", "incomplete"]


def test_an_overdrawn_budget_of_zero_is_different() -> None:
    for budget in (0.0, 5e-324):
        record = compare_values("forward", FLOAT32, "p3", np.zeros(3), np.ones(3), budget)
        assert (record.verdict, record.used) == ("different", None)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["equal", "equal"], "equal"),
        (["equal", "different", "incomplete"], "different"),
        (["equal", "incomplete"], "incomplete"),
        ([], "incomplete"),
    ],
)
def test_anything_not_compared_is_never_green(verdicts: list[Verdict], expected: Verdict) -> None:
    records = [Record(rung="shapes", where=Where(), name="p3", verdict=verdict) for verdict in verdicts]
    assert verdict_of(records) == expected


def test_exit_codes_leave_two_to_wrong_usage() -> None:
    assert EXIT_CODES == {"equal": 0, "tie": 0, "different": 1, "incomplete": 3}


def test_a_budget_for_each_element_is_held_at_each() -> None:
    budget = np.array([1e-3, 1e-6, 0.0])
    record = compare_values("forward", FLOAT32, "p3", np.ones(3), np.array([1 + 1e-4, 1, 1]), budget)
    assert (record.verdict, record.budget) == ("equal", 1e-3)
    assert record.difference == pytest.approx(1e-4)
    for wrong in ([0, 1e-5, 0], [0, 0, 1e-12]):
        record = compare_values("forward", FLOAT32, "p3", np.ones(3), 1 + np.array(wrong), budget)
        assert (record.verdict, record.budget) == ("different", budget[np.argmax(wrong)])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\nlines"), "ValueError: two lines"),
        (KeyError(), "KeyError"),
        (RuntimeError("\x1b[1mNo kernel.\x1b[0m\n\nArguments"), "RuntimeError: No kernel. Arguments"),
    ],
)
def test_an_error_is_told_in_one_line_and_without_what_makes_a_terminal_bold(error: Exception, words: str) -> None:
    assert in_one_line(error) == words


def test_in_float32_each_row_says_how_far_each_side_is_from_its_own_float64(feature_map: Array) -> None:
    exact, rounded = feature_map, feature_map.astype(np.float32)
    wrong = rounded + np.float32(1e-2)
    pairs = {"float64": (exact, exact), "float32": (rounded, wrong)}
    double, single = compare_tensor("losses", Where(), "loss", pairs, ("float64", "float32"), CASCADED)
    assert (double.own_errors, single.verdict) == (None, "different")
    assert single.own_errors is not None
    assert single.own_errors[0] < 1e-6 < single.own_errors[1]
    assert single.reason.endswith("off, and the port 1.0e-02")
