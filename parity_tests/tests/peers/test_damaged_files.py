"""Damaged, foreign and hostile files of every published RetinaNet: one sentence each, and nothing in them is run."""

import base64
import json
import marshal
import pickle
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from parity_tests.tests.support.damage import TO_BYTES
from torch_retinanet import InputError, RetinaNet, RetinaNetConfig
from torch_retinanet.config import PRESETS
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published import published_of
from torch_retinanet.weights.published.keras_cv import Model, keras_cv_name, write_model
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

TORCH = ("torchvision", "torchvision_v2", "deepforest", "yhenon", "detectron2", "mmdet", "mmdet_caffe", "monai")
"""The presets whose files torch writes."""

OF_TORCH = [(preset, published_of(preset).suffixes[0]) for preset in TORCH]
FORMATS = [*OF_TORCH, ("detectron2", ".pkl"), ("keras_cv", ".keras"), ("keras_cv", ".weights.h5")]
TIMES = 10
"""How often each format is damaged in bytes."""


@cache
def small(preset: str, suffix: str, folder: Path) -> bytes:
    """A file of a narrow network on ResNet-18, in a format."""
    config = PRESETS[preset].changed(num_classes=2, width=32, head_depth=1, backbone="resnet18")
    with torch.random.fork_rng(devices=[]):
        contents = WeightsFile(config, plain_tensors(RetinaNet(config)), class_names=("cat", "dog"))
    path = folder / f"{preset}{suffix}"
    if preset == "keras_cv":  # whose own networks have one width, and are large
        write_model(path, Model({keras_cv_name(n): t for n, t in contents.tensors.items() if t.ndim}, config))
    else:
        write_weights(path, contents, to=preset)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def read_or_sentence(path: Path) -> str:
    """An empty string for a file that is read, or the sentence with which it is refused."""
    try:
        read_weights(path)
    except InputError as error:
        sentence = str(error)
        assert sentence.startswith(str(path))
        assert "\n" not in sentence
        assert "Traceback" not in sentence
        return sentence
    return ""


@pytest.mark.parametrize(("preset", "suffix"), FORMATS)
def test_a_whole_file_is_read(preset: str, suffix: str, folder: Path) -> None:
    path = folder / f"whole_{preset}{suffix}"
    path.write_bytes(small(preset, suffix, folder))
    config = read_weights(path).config
    assert config.width == 32
    assert config.name.startswith(preset if preset != "mmdet_caffe" else "mmdet")


@pytest.mark.parametrize(("preset", "suffix"), FORMATS)
def test_a_file_that_is_damaged_in_its_structure_gives_a_sentence_or_its_weights(
    preset: str, suffix: str, folder: Path
) -> None:
    """Damage falls on the first and the last bytes, which say what a file holds; some numbers may differ unseen."""
    content, draw = small(preset, suffix, folder), random.Random(f"{preset}{suffix}")
    path = folder / f"damaged_{preset}{suffix}"
    refused = 0
    for turn in range(TIMES):
        damage = TO_BYTES[turn % len(TO_BYTES)]
        start = draw.choice([0, max(0, len(content) - 20_000)])
        part = content[start : start + 20_000]
        path.write_bytes(content[:start] + damage(part, draw) + content[start + len(part) :])
        refused += read_or_sentence(path) != ""
    assert refused >= TIMES // 2


@pytest.mark.parametrize(("preset", "suffix"), FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_refused(preset: str, suffix: str, share: float, folder: Path) -> None:
    content = small(preset, suffix, folder)
    path = folder / f"cut_{preset}{suffix}"
    path.write_bytes(content[: int(share * len(content))])
    assert read_or_sentence(path) != ""


def renamed(state: dict[str, Tensor], last: str) -> None:
    state["another"] = state.pop(last)


def missing(state: dict[str, Tensor], last: str) -> None:
    del state[last]


def more(state: dict[str, Tensor], last: str) -> None:
    state[f"{last}.more"] = torch.zeros(3)


def reshaped(state: dict[str, Tensor], last: str) -> None:
    state[last] = torch.zeros(*state[last].shape, 2)


def whole_numbers(state: dict[str, Tensor], last: str) -> None:
    state[last] = torch.zeros(state[last].shape, dtype=torch.int64)


def of_8_bits(state: dict[str, Tensor], last: str) -> None:
    state[last] = state[last].to(torch.float8_e4m3fn)


def scalar(state: dict[str, Tensor], last: str) -> None:
    state[last] = torch.zeros(())


@pytest.mark.parametrize(("preset", "suffix"), OF_TORCH)
@pytest.mark.parametrize("change", [renamed, missing, more, reshaped, whole_numbers, of_8_bits, scalar])
@pytest.mark.parametrize("ours", ["cls_head.1.bias", pytest.param("fpn.conv_c5_3x3.weight", marks=pytest.mark.slow)])
def test_a_tensor_that_is_not_that_of_the_model_is_named(
    preset: str, suffix: str, change: Callable[[dict[str, Tensor], str], None], ours: str, folder: Path
) -> None:
    published = published_of(preset)
    path = folder / f"changed_{preset}{suffix}"
    path.write_bytes(small(preset, suffix, folder))
    held = torch.load(path, weights_only=True)
    state = next((held[name] for name in ("state_dict", "model") if name in held), held)
    name = published.their_name(ours)
    change(state, name if name in state else f"model.{name}")
    torch.save(held, path)
    sentence = read_or_sentence(path)
    assert name in sentence or "another" in sentence


class Harm:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


class Called:
    """What calls a function of a module when it is unpickled."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> Any:
        return self.function, self.given


class TouchesFile:
    """A class that writes a file when it is called, as `subprocess.Popen` can."""

    def __init__(self, path: Path) -> None:
        path.touch()


def planted(path: Path) -> Iterator[tuple[str, Any]]:
    """Tables in which something hostile lies, by what it is."""
    weight = np.zeros(3, np.float32)
    yield "in place of the table", Harm(path)
    yield "beside the weights", {"model": {"a": weight}, "meta": Harm(path)}
    yield "among the weights", {"model": {"a": weight, "b": Harm(path)}}
    yield "in an array", {"model": {"a": np.array([Harm(path)], dtype=object)}}
    yield "as a name", {"model": OrderedDict([(Harm(path), weight)])}
    yield "of numpy", {"model": Called(np.load, str(path))}
    yield "of numpy, by text", {"model": Called(np.fromfile, str(path))}
    yield "of the operating system", {"model": Called(__import__("os").system, f"touch {path}")}
    yield "of builtins", {"model": Called(eval, "1")}
    yield "of operator", {"model": Called(__import__("operator").attrgetter, "a")}


KINDS = [kind for kind, _ in planted(Path("x"))]


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".ckpt", ".pt", ".bin"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_what_a_pickle_would_run_is_not_run(kind: str, suffix: str, protocol: int, tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / f"model{suffix}"
    held = dict(planted(mark))[kind]
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps(held, protocol=protocol))
    else:
        torch.save(held, path, pickle_protocol=max(2, protocol))
    assert read_or_sentence(path) != ""
    assert not mark.exists()


@pytest.mark.parametrize("place", ["beside", "model"])
def test_what_a_class_would_run_is_not_run_where_its_object_is_left_aside(place: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "model.pth"
    path.write_bytes(small("torchvision", ".pth", tmp_path))
    state = torch.load(path, weights_only=True)
    torch.save({"model": state} | {place: Called(TouchesFile, mark)}, path)
    sentence = read_or_sentence(path)
    assert (sentence == "") == (place == "beside")
    assert sentence == "" or "but a parity_tests.tests.peers.test_damaged_files.TouchesFile; save" in sentence
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'exit 1'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
        b"\x80\x02cnumpy\nndarray\n(K\x03tR.",
        b"\x80\x02cnumpy\ndtype\n}(U\x04codeU\x04evilub.",
        b"\x80\x02ccollections\nOrderedDict\n)R}(U\x05itemsK\x00ub.",
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02Pname\n.",
        b"I" + b"9" * 6000 + b"\n.",
        b"(" * 100_000 + b"t" * 100_000 + b".",
        b".",
    ],
)
def test_a_pickle_written_by_hand_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    assert read_or_sentence(path) != ""


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_read_from_pickles_of_every_protocol_and_of_both_numpys(protocol: int, tmp_path: Path) -> None:
    config = PRESETS["detectron2"].changed(num_classes=2, width=32, head_depth=1, backbone="resnet18")
    contents = WeightsFile(config, plain_tensors(RetinaNet(config)))
    write_weights(tmp_path / "first.pkl", contents, to="detectron2")
    held = pickle.loads((tmp_path / "first.pkl").read_bytes())
    held["model"]["pixel_mean"] = np.asfortranarray(np.ones((3, 1, 1), ">f4"))
    name = "head.cls_score.weight"
    held["model"][name] = np.asfortranarray(held["model"][name])
    content = pickle.dumps(held, protocol=protocol)
    for room in (b"numpy._core", b"numpy.core"):
        path = tmp_path / "model.pkl"
        path.write_bytes(content if protocol >= 4 else content.replace(b"numpy._core", room))
        found = read_weights(path).tensors
        assert all(torch.equal(found[n], t) for n, t in contents.tensors.items() if t.is_floating_point())


def foreign(folder: Path) -> Iterator[Path]:
    """Files of other programs under the suffixes of weights."""
    contents: dict[str, Any] = {
        "text": b"weights: none\n",
        "json": b'{"model": {"a": 1}}',
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
        "zeros": bytes(4096),
        "nothing": b"",
    }
    for suffix in (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".safetensors"):
        for name, content in contents.items():
            path = folder / f"{name}{suffix}"
            path.write_bytes(content)
            yield path
        with zipfile.ZipFile(folder / f"zip{suffix}", "w") as archive:
            archive.writestr("a.txt", "nothing")
        yield folder / f"zip{suffix}"
    for name, held in {"numbers": [1, 2], "classifier": {"fc.weight": torch.zeros(3)}, "step": {"step": 3}}.items():
        torch.save(held, folder / f"{name}.pth")
        yield folder / f"{name}.pth"
    save_file({"fc.weight": torch.zeros(3)}, folder / "classifier.safetensors")
    yield folder / "classifier.safetensors"


def test_files_of_other_programs_are_refused(tmp_path: Path) -> None:
    paths = list(foreign(tmp_path))
    assert len(paths) == 40
    assert [path.name for path in paths if not read_or_sentence(path)] == []


def test_another_backbone_than_a_resnet_is_said(folder: Path, tmp_path: Path) -> None:
    config = RetinaNetConfig.torchvision(num_classes=2, width=32, head_depth=1, backbone="resnet18")
    state = {published_of("torchvision").their_name(n): t for n, t in plain_tensors(RetinaNet(config)).items()}
    torch.save({n: t for n, t in state.items() if "layer3.1" not in n}, tmp_path / "model.pth")
    assert "its backbone is none of resnet18" in read_or_sentence(tmp_path / "model.pth")


def lambda_layer(mark: Path) -> dict[str, Any]:
    """A layer of Keras as files hold it, whose function is Python's byte code and writes a file where it is called."""
    code = marshal.dumps(compile(f"lambda x: open({str(mark)!r}, 'w')", "planted", "eval").co_consts[0])
    function = {"class_name": "__lambda__", "config": {"code": base64.b64encode(code).decode(), "defaults": None}}
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "planted", "function": function},
        "registered_name": None,
    }


def with_a_lambda(config: Any, layer: dict[str, Any]) -> Any:
    """The config of a model with such a layer in each place of layers, and in place of its backbone."""
    if isinstance(config, dict):
        changed = {name: with_a_lambda(value, layer) for name, value in config.items()}
        return changed | ({"backbone": layer} if "backbone" in changed else {})
    if isinstance(config, list):
        return [*(with_a_lambda(value, layer) for value in config), layer]
    return config


def test_a_lambda_in_an_archive_of_keras_is_not_run(folder: Path, tmp_path: Path) -> None:
    mark, path, source = tmp_path / "mark", tmp_path / "planted.keras", tmp_path / "source.keras"
    source.write_bytes(small("keras_cv", ".keras", folder))
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(path, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            if name == "config.json":
                content = json.dumps(with_a_lambda(json.loads(content), lambda_layer(mark))).encode()
            made.writestr(name, content)
    read_or_sentence(path)
    assert not mark.exists()


def test_a_lambda_in_the_model_of_an_h5_file_is_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "planted.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Functional", "config": {"layers": [lambda_layer(mark)]}}
        )
        file.create_group("model_weights").attrs["layer_names"] = [b"planted"]
    assert read_or_sentence(path)
    assert not mark.exists()
