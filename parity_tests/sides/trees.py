"""What modules take and give: tensors and numbers alone, or in tuples, lists and dictionaries of them."""

import copy
from collections.abc import Callable, Iterator
from numbers import Number
from typing import Any

from parity_tests.rule.errors import UsageError

IsLeaf = Callable[[Any], bool]


def leaves(tree: Any, is_leaf: IsLeaf) -> dict[str, Any]:
    """The leaves of a tree in order, by where they stand: `""` for one alone, else `.0`, `.boxes`, `.0.scores`.

    Numbers are none, unless `is_leaf` says so; nor are `None` and strings.
    """
    found = dict(_walk(tree, is_leaf, ""))
    return dict(zip([""], found.values(), strict=True)) if len(found) == 1 else found


def check_results(tree: Any, is_leaf: IsLeaf, where: str) -> None:
    """Refuse what a module returns and nobody could compare, as an object of a class of one's own.

    Raises:
        UsageError: naming where it stands, and what it is.
    """
    if isinstance(tree, dict):
        for key, value in tree.items():
            check_results(value, is_leaf, f"{where}.{key}")
    elif isinstance(tree, (tuple, list)):
        for i, item in enumerate(tree):
            check_results(item, is_leaf, f"{where}.{i}")
    elif not (is_leaf(tree) or is_number(tree) or tree is None or isinstance(tree, str)):
        kind = type(tree).__name__
        raise UsageError(f"{where}: is a {kind}, and must be a tensor, a number, or a tuple, list or dict of them")


def is_number(value: Any) -> bool:
    """Whether a value is a Python number or truth value, which is compared as an array of one."""
    return isinstance(value, Number)


def replaced(tree: Any, is_leaf: IsLeaf, by: Iterator[Any]) -> Any:
    """The same tree with other leaves, in the order of `leaves`."""
    if is_leaf(tree):
        return next(by)
    if isinstance(tree, dict):
        changed = copy.copy(tree)
        for key, value in tree.items():
            changed[key] = replaced(value, is_leaf, by)
        return changed
    if isinstance(tree, (tuple, list)):
        items = [replaced(item, is_leaf, by) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def _walk(tree: Any, is_leaf: IsLeaf, place: str) -> Iterator[tuple[str, Any]]:
    if is_leaf(tree):
        yield place, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _walk(value, is_leaf, f"{place}.{key}")
    elif isinstance(tree, (tuple, list)):
        for i, item in enumerate(tree):
            yield from _walk(item, is_leaf, f"{place}.{i}")
