"""Which package and which room may import which, and that frameworks live in one process in either order."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from parity_tests.tests.support.imports import classes, imports, product_files, python_files, roots
from parity_tests.tests.support.paths import ROOT

FORBIDDEN = {
    "torch_retinanet": {"keras", "tensorflow", "focal_loss", "keras_reference", "parity_tests"},
    "keras_reference": {"torch", "torchvision", "torch_retinanet", "parity_tests"},
}
LATE = {"tensorflow": "torch_retinanet/weights/containers/tf_checkpoint.py"}
"""What a model package imports in one module alone, within a function, for files that no other library reads."""

ROOMS = ("rule", "peers", "sides", "ladder", "bundle", "retinanet", "ablation", "report", "cli", "__init__", "plugin")
"""The folders of `parity_tests`, lowest first, and the modules above them; each imports from lower ones alone."""

MOST_ARROWS = 25
"""How many pairs of rooms there may be of which one imports the other."""

KNOW_BOTH_PACKAGES = {"retinanet", "ablation"}
KNOW_FRAMEWORKS = {"peers", "sides", *KNOW_BOTH_PACKAGES}
USERS = {
    "torch_retinanet": {"peers", *KNOW_BOTH_PACKAGES},
    "keras_reference": KNOW_BOTH_PACKAGES,
    "torch": KNOW_FRAMEWORKS,
    "keras": KNOW_FRAMEWORKS,
    "tensorflow": KNOW_FRAMEWORKS,
}
"""The rooms of `parity_tests` that may import a package."""

FEWEST_LINES = 25
"""What is shorter than this belongs into the module that uses it."""

REPOSITORY = ("torch_retinanet", "keras_reference", "parity_tests", "benchmarks", "examples")

FLOORS = (
    {
        "errors",
        "files",
        "terminal",
        "compiler",
        "git_lfs",
        "taps",
        "layers",
        "pictures",
        "boxes",
        "draw",
        "resize",
        "atss",
        "overlaps",
        "memory",
    },
    {"config", "checks", "devices"},
    {"other_backbones", "unfilled"},
    {"attributes", "backbone", "anchors", "preprocess", "postprocess", "targets"},
    {"fpn", "losses", "tiles"},
    {"heads", "data"},
    {"model"},
    {"inference"},
    {"surroundings", "traced"},
    {"weights"},
    {"pretrained"},
    {"detector"},
    {"factories", "predict"},
    {"evaluate"},
    {"engines"},
    {"benchmark", "train"},
    {"cli"},
    {"__main__"},
)
"""The rooms of `torch_retinanet`, lowest first; a room imports only from floors below its own, or its own folder."""


def room_of(path: Path, package: str = "parity_tests") -> str:
    """The folder within a package in which a module lies, or the module itself."""
    return path.relative_to(ROOT / package).parts[0].removesuffix(".py")


def arrows() -> Iterator[tuple[str, str, str]]:
    """A room of `parity_tests`, another that it imports, and the module that does."""
    for path in product_files("parity_tests"):
        for name in imports(path, typing=False):
            if name[0] == "parity_tests":
                other = name[1] if len(name) > 1 and name[1] in ROOMS else "__init__"
                if other != room_of(path):
                    yield room_of(path), other, path.relative_to(ROOT / "parity_tests").as_posix()


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_model_package_never_imports_the_other_side(package: str) -> None:
    for path in python_files(package):
        late = {root for root, module in LATE.items() if path == ROOT / module}
        assert not (roots(path) & FORBIDDEN[package]) - late, path


@pytest.mark.parametrize("package", LATE)
def test_what_is_imported_late_is_imported_within_a_function(package: str) -> None:
    body = ast.parse((ROOT / LATE[package]).read_text(encoding="utf-8")).body
    assert any(package in ast.unparse(node) for node in body if isinstance(node, ast.FunctionDef))
    others = [node for node in body if not isinstance(node, ast.FunctionDef | ast.Expr)]
    assert [ast.unparse(node) for node in others if package in ast.unparse(node)] == []


@pytest.mark.parametrize("package", USERS)
def test_a_package_of_one_side_is_imported_by_the_rooms_that_know_it_alone(package: str) -> None:
    users = [path for path in product_files("parity_tests") if package in roots(path, typing=False)]
    assert [str(path) for path in users if room_of(path) not in USERS[package]] == []


def test_a_test_looks_at_one_side_or_at_both_through_the_instrument() -> None:
    for path in python_files("parity_tests/tests"):
        assert not roots(path) >= {"torch_retinanet", "keras_reference"}, path


def test_the_rule_needs_numpy_alone() -> None:
    used = {name[:2] for path in product_files("parity_tests/rule") for name in imports(path, typing=False)}
    assert {name[0] for name in used} - {"numpy", "parity_tests"} <= sys.stdlib_module_names
    assert {name for name in used if name[0] == "parity_tests"} == {("parity_tests", "rule")}


def test_parity_tests_has_no_other_rooms() -> None:
    inside = {path.stem for path in (ROOT / "parity_tests").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert inside == {*ROOMS, "tests"}


def test_no_arrow_between_rooms_of_the_instrument_runs_up() -> None:
    assert sorted({arrow for arrow in arrows() if ROOMS.index(arrow[1]) > ROOMS.index(arrow[0])}) == []


def test_rooms_of_the_instrument_import_few_others() -> None:
    assert len({(room, other) for room, other, _ in arrows()}) <= MOST_ARROWS


def test_no_arrow_runs_back_up() -> None:
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    for path in python_files("torch_retinanet"):
        room = room_of(path, "torch_retinanet")
        used = {name[1] for name in imports(path) if name[0] == "torch_retinanet" and len(name) > 1} & floor.keys()
        if room != "__init__":
            assert room in floor, f"{path}: its room has no floor"
            assert all(floor[other] < floor[room] or other == room or floor[other] == 0 for other in used), path


def test_the_page_of_rooms_names_every_room() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [room for rooms in FLOORS for room in sorted(rooms) if not re.search(f"`{room}/?`", page)] == []


def test_no_test_imports_another_test() -> None:
    for path in python_files("parity_tests/tests"):
        parts = {part for name in imports(path) if name[0] == "parity_tests" for part in name}
        assert not [part for part in parts if part == "conftest" or part.startswith("test_")], path


def test_no_product_imports_tests() -> None:
    for path in product_files(*REPOSITORY):
        assert ("parity_tests", "tests") not in {name[:2] for name in imports(path)}, path


def test_what_tests_share_fits_on_a_few_screens() -> None:
    for path in python_files("parity_tests/tests/support"):
        assert len(path.read_text().splitlines()) <= 350, path


def test_no_module_of_the_instrument_is_a_scrap() -> None:
    modules = [path for path in product_files("parity_tests") if path.name != "__init__.py"]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules}
    assert {path: lines for path, lines in lengths.items() if lines < FEWEST_LINES} == {}


def test_no_two_classes_have_one_name_but_those_of_mirrored_files() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in python_files(*REPOSITORY):
        for name in classes(path):
            places[name].append(path.relative_to(ROOT).as_posix())
    twice = {name: paths for name, paths in places.items() if len(paths) > 1 and not are_mirrored(paths)}
    assert twice == {}


def are_mirrored(paths: Sequence[str]) -> bool:
    """Whether these are one file of the port and the file of the reference that it mirrors; `config` is a folder."""
    packages, files = zip(*(path.replace("config/config", "config").split("/", 1) for path in paths), strict=True)
    return sorted(packages) == ["keras_reference", "torch_retinanet"] and len(set(files)) == 1


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    lines = [
        "from typing import TYPE_CHECKING",
        "if TYPE_CHECKING:",
        "    from keras import Model",
        "def late():",
        "    import torch.nn as nn",
        "    return importlib.import_module('parity_tests.report')",
    ]
    (tmp_path / "module.py").write_text("\n".join(lines))
    of_types, late, named = ("keras", "Model"), ("torch", "nn"), ("parity_tests", "report")
    assert {*imports(tmp_path / "module.py")} == {("typing", "TYPE_CHECKING"), of_types, late, named}
    assert {*imports(tmp_path / "module.py", typing=False)} == {("typing", "TYPE_CHECKING"), late, named}


FORWARD = "import torch, torchvision; torchvision.models.resnet18().eval()(torch.zeros(1, 3, 32, 32))"
ALIVE = f"{FORWARD}; import tensorflow; tensorflow.zeros(3); print('alive')"


def run_python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.ci
def test_keras_reference_comes_first_and_does_not_bring_torch_in() -> None:
    run = run_python(f"""
import gc
gc.disable()
import keras_reference, sys
assert "torch" not in sys.modules
import torchvision, torch_retinanet
{ALIVE}
gc.freeze()""")
    assert (run.returncode, run.stdout.strip()) == (0, "alive"), run.stderr[-2000:]


AFTER_TENSORFLOW = f"""
import gc, os, sys
import tensorflow
import torch

assert "triton" not in sys.modules
gc.freeze()  # no child looks at, and thereby copies, what is there
for order in sys.argv[1:]:
    child = os.fork()
    if not child:
        exec(order)
        {ALIVE}
        break  # and the interpreter ends as any does
    assert os.waitpid(child, 0)[1] == 0, order
"""
"""What imports each order after tensorflow; it and torch are loaded once, without triton, which they quarrel over."""


@pytest.mark.ci
def test_the_frameworks_live_in_one_process_where_tensorflow_comes_first() -> None:
    orders = ["import torch_retinanet", "import keras_reference, torchvision", "import parity_tests, torchvision"]
    run = run_python(AFTER_TENSORFLOW, *orders)
    assert (run.returncode, run.stdout.split()) == (0, ["alive"] * len(orders)), run.stderr[-2000:]


def test_a_reader_that_goes_away_ends_a_command_without_a_word() -> None:
    code = "import sys; from torch_retinanet.cli import main; sys.exit(main(['conventions']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert (command.stderr.read(), command.wait(timeout=100)) == (b"", 141)


@pytest.mark.parametrize("collects", [pytest.param(True, marks=pytest.mark.ci), False])
def test_an_import_leaves_collection_as_it_was_and_what_few_need_alone(collects: bool) -> None:
    run = run_python(f"""
import gc, sys
gc.{"enable" if collects else "disable"}()
import torch_retinanet
print(gc.isenabled(), [name for name in {FOR_FEW} if name in sys.modules])""")
    assert (run.returncode, run.stdout.strip()) == (0, f"{collects} []"), run.stderr[-2000:]


FOR_FEW = ("h5py", "timm", "tyro", "rich", "msgspec", "accelerate", "huggingface_hub", "onnx", "matplotlib", "yaml")
"""What is imported with the first that needs it."""


MODEL = {
    *("backbone", "other_backbones", "fpn", "heads", "model", "layers", "anchors", "boxes", "targets", "losses"),
    *("preprocess", "postprocess", "resize", "surroundings", "detector", "atss", "inference"),
}
"""The rooms of `torch_retinanet` that compute; `detector` hands a preset on to what reads files."""


def test_no_room_of_the_model_asks_which_preset_it_is() -> None:
    """They ask for the convention."""
    for path in product_files("torch_retinanet"):
        if room_of(path, "torch_retinanet") in MODEL:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            asked = [node for node in ast.walk(tree) if isinstance(node, ast.Compare) and "preset" in ast.unparse(node)]
            assert [ast.unparse(node) for node in asked] == [], path
            assert not any(isinstance(node, ast.Attribute) and node.attr == "preset" for node in ast.walk(tree)), path
