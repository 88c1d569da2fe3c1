"""What modules take and give: tensors alone, or in tuples, lists and dictionaries of them."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

IsLeaf = Callable[[Any], bool]


def leaves(tree: Any, is_leaf: IsLeaf) -> dict[str, Any]:
    """The leaves of a tree in order, by where they stand: `""` for one alone, else `.0`, `.boxes`, `.0.scores`."""
    found = dict(_walk(tree, is_leaf, ""))
    return dict(zip([""], found.values(), strict=True)) if len(found) == 1 else found


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
