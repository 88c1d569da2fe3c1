"""What recurrent modules of torch return, in the form in which a layer of Keras returns it, and back."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from parity_tests.sides.adapter import Returned


def in_form(module: nn.RNNBase, result: Any, form: Returned) -> Any:
    """The steps or the last one alone, and the states behind it where they are returned too.

    Of several layers the last one's; a state for each direction and layer, (B,H), as Keras has them.
    """
    if not isinstance(result[0], Tensor):  # packed sequences have no steps of one length
        return result
    states = _states(result)
    first = result[0] if form.sequences else torch.cat(_of_last_layer(module, states[0]), dim=-1)
    if not form.states:
        return first
    places = [layer * _directions(module) + d for d in range(_directions(module)) for layer in range(module.num_layers)]
    return [first, *(state[place] for place in places for state in states)]


def returning(module: nn.RNNBase, forward: Callable[..., Any], watched: Any, form: Returned) -> Callable[..., Any]:
    """A stand-in for `forward`, of which is watched what it returns in this form.

    Args:
        watched: makes a function that is watched.
    """

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        whole: list[Any] = []

        def seen(*args: Any, **kwargs: Any) -> Any:
            whole[:] = [forward(*args, **kwargs)]
            return in_form(module, whole[0], form)

        return _with(module, whole, watched(seen)(*args, **kwargs), form)

    return stand_in


def _with(module: nn.RNNBase, whole: Sequence[Any], found: Any, form: Returned) -> Any:
    """All that the module returns, with the steps or states that go on in place of its own."""
    (steps, _), states = whole[0], _states(whole[0])
    if not isinstance(steps, Tensor):
        return whole[0]
    first = found[0] if form.states else found
    axis = 1 if module.batch_first and steps.ndim == 3 else 0
    if form.sequences:
        steps = first
        ends = [half.select(axis, -i) for i, half in zip((1, 0), steps.chunk(_directions(module), -1), strict=False)]
    else:
        ends = list(first.chunk(_directions(module), -1))
        halves = zip((False, True), steps.chunk(_directions(module), -1), ends, strict=False)
        steps = torch.cat([_with_end(half, end, axis, at_start) for at_start, half, end in halves], dim=-1)
    last = torch.stack(ends)
    h = torch.cat([states[0][: -len(last)], last]) if len(states[0]) > len(last) else last
    return (steps, (h, states[1])) if len(states) > 1 else (steps, h)


def _with_end(steps: Tensor, end: Tensor, axis: int, at_start: bool) -> Tensor:
    """Steps of one direction whose last one, at the start of a reversed one, is another."""
    others = steps.narrow(axis, int(at_start), steps.shape[axis] - 1)
    parts = [end.unsqueeze(axis), others] if at_start else [others, end.unsqueeze(axis)]
    return torch.cat(parts, dim=axis)


def _states(result: Any) -> tuple[Tensor, ...]:
    """Those of all layers and directions (L*D,B,H): of an LSTM two, else one."""
    return result[1] if isinstance(result[1], tuple) else (result[1],)


def _directions(module: nn.RNNBase) -> int:
    return 2 if module.bidirectional else 1


def _of_last_layer(module: nn.RNNBase, state: Tensor) -> list[Tensor]:
    return list(state[-_directions(module) :].unbind(0))
