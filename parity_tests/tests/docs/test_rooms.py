"""Which package and which room may import which, and that frameworks live in one process in either order."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "torch_retinanet": {"keras", "tensorflow", "focal_loss", "keras_reference", "parity_tests"},
    "keras_reference": {"torch", "torchvision", "torch_retinanet", "parity_tests"},
}
DYNAMIC = {"import_module", "__import__"}
OF_TESTS = {"conftest.py", "damage.py", "data_sets.py", "keras_values.py", "small_models.py"}
"""What several tests share."""
WINGS = {"torch_retinanet", "keras_reference"}

FLOORS = (
    {"errors", "taps", "layers", "pictures", "boxes", "presets", "draw"},
    {"conventions"},
    {"config"},
    {"backbone", "anchors", "preprocess", "postprocess", "targets", "detector_input"},
    {"fpn", "losses", "data"},
    {"heads"},
    {"model"},
    {"weights"},
    {"detector"},
    {"detect"},
    {"evaluate"},
    {"train"},
    {"cli"},
    {"__main__"},
)
"""The rooms of `torch_retinanet`, lowest first; a room imports only from floors below its own, or its own folder."""


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports by a relative name"
            yield tuple((node.module or "").split("."))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in DYNAMIC:
            yield from (tuple(str(a.value).split(".")) for a in node.args if isinstance(a, ast.Constant))


def python_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_model_package_never_imports_the_other_side(package: str) -> None:
    for path in python_files(package):
        assert not {name[0] for name in imports(path)} & FORBIDDEN[package], path


def test_the_instrument_knows_both_sides_through_the_bridge_alone() -> None:
    for path in python_files("parity_tests"):
        known = {name[0] for name in imports(path)} & WINGS
        if path.name.startswith(("test_", "conftest")):
            assert len(known) < 2, f"{path} looks at one side, or at both through the bridge"
        elif path.parent.name != "bridge":
            assert not known, path


def test_the_comparison_needs_numpy_alone() -> None:
    for room in ("compare", "inputs", "matching"):
        roots = {name[0] for name in imports(ROOT / "parity_tests" / f"{room}.py")}
        assert roots - set(sys.stdlib_module_names) <= {"numpy", "parity_tests"}


def test_no_arrow_runs_back_up() -> None:
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    for path in python_files("torch_retinanet"):
        room = path.relative_to(ROOT / "torch_retinanet").parts[0].removesuffix(".py")
        used = {name[1] for name in imports(path) if name[0] == "torch_retinanet" and len(name) > 1}
        if room != "__init__":
            assert all(floor[other] < floor[room] or other == room or floor[other] == 0 for other in used), path


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    "order",
    [
        "import torch_retinanet, keras_reference",
        "import keras_reference, torchvision, torch_retinanet",
        "import tensorflow, torch_retinanet",
    ],
)
def test_the_frameworks_live_in_one_process_in_either_order(order: str) -> None:
    forward = "import torch, torchvision; torchvision.models.resnet18().eval()(torch.zeros(1, 3, 32, 32))"
    run = run_python(f"{order}; {forward}; import tensorflow; tensorflow.zeros(3); print('alive')")
    assert (run.returncode, run.stdout.strip()) == (0, "alive"), run.stderr[-2000:]


def test_a_reader_that_goes_away_ends_a_command_without_a_word() -> None:
    code = "import sys; from torch_retinanet.cli import main; sys.exit(main(['conventions']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert (command.stderr.read(), command.wait(timeout=100)) == (b"", 141)


def test_a_package_does_not_bring_the_other_framework_in() -> None:
    for package, others in {"torch_retinanet": ("keras", "tensorflow"), "keras_reference": ("torch",)}.items():
        run = run_python(f"import sys, {package}; print([name for name in {others!r} if name in sys.modules])")
        assert run.stdout.strip() == "[]", run.stderr[-2000:]
