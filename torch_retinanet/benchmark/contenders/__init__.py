"""Who takes part: a name, the packages it needs, and what it does for a task.

Other packages add theirs under the entry point `torch_retinanet.benchmark`: each names a module with a list,
`CONTENDERS`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from torch_retinanet.benchmark.task import Task
from torch_retinanet.errors import InputError, suggestion

GROUP = "torch_retinanet.benchmark"

Run = Callable[[], object]
"""Does the task once, whole: what is computed later, as on a GPU, is waited for."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One that is timed.

    Attributes:
        name: what it is called in tables, and after `--contenders`.
        needs: the packages that it imports.
        prepare: makes what does a task; `None` where it does no such task.
    """

    name: str
    needs: Sequence[str]
    prepare: Callable[[Task], Run | None]

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [package for package in self.needs if importlib.util.find_spec(package) is None]


OWN = tuple(f"{__name__}.{module}" for module in ("torchvision", "own", "files"))
"""The modules of this package's own lists."""


def contenders() -> dict[str, tuple[str, Contender]]:
    """All that there are, by name, this package's first; each with the module of its list."""
    modules = [*OWN, *(entry.value for entry in entry_points(group=GROUP))]
    found = [(module, one) for module in modules for one in importlib.import_module(module).CONTENDERS]
    return {one.name: (module, one) for module, one in found}


def chosen(names: Sequence[str]) -> dict[str, tuple[str, Contender]]:
    """Those of some names, in the order of all; by default all.

    Raises:
        InputError: for a name that none has.
    """
    known = contenders()
    for name in names:
        if name not in known:
            raise InputError(f"--contenders: {name} must be one of {', '.join(known)}{suggestion(name, known)}")
    return {name: found for name, found in known.items() if not names or name in names}
