"""What the modules of the repository import, define and hold, read from their text."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from parity_tests.tests.support.paths import ROOT

DYNAMIC = {"import_module", "__import__"}
"""Functions that import what they are given by name."""

Name = tuple[str, ...]
"""A dotted name in parts; of `from a.b import c` it is a, b, c."""


def python_files(*folders: str) -> list[Path]:
    """All modules in folders of the repository, the tests among them."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def product_files(*folders: str) -> list[Path]:
    """The modules in folders of the repository, without the tests."""
    return [path for path in python_files(*folders) if "tests" not in path.relative_to(ROOT).parts]


@cache
def imports(path: Path, *, typing: bool = True) -> tuple[Name, ...]:
    """The names that a module imports, within functions too; with `typing`, also those for type checkers alone."""
    return tuple(_imports(path, typing))


def _imports(path: Path, typing: bool) -> Iterator[Name]:
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8")), typing):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports by a relative name"
            yield from ((*(node.module or "").split("."), alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and _last_name(node.func) in DYNAMIC:
            yield from (tuple(str(a.value).split(".")) for a in node.args if isinstance(a, ast.Constant))


def roots(path: Path, *, typing: bool = True) -> set[str]:
    """The packages that a module imports from."""
    return {name[0] for name in imports(path, typing=typing)}


def classes(path: Path) -> list[str]:
    """The names of the classes that a module defines, within functions too."""
    return [
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)
    ]


def _nodes(node: ast.AST, typing: bool) -> Iterator[ast.AST]:
    """The node and all within it, without what stands under `if TYPE_CHECKING` unless `typing` is true."""
    yield node
    for child in ast.iter_child_nodes(node):
        if typing or not (isinstance(child, ast.If) and _last_name(child.test) == "TYPE_CHECKING"):
            yield from _nodes(child, typing)


def _last_name(node: ast.expr) -> str:
    """`name` and `module.name` as their last part."""
    return str(getattr(node, "attr", getattr(node, "id", "")))
