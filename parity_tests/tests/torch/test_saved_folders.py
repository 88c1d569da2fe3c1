"""Detectors as folders of one's own and as repositories of the Hub, and what their files say."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import huggingface_hub
import pytest
import torch
import torchvision
from huggingface_hub import constants
from torch import nn

from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.torchvisions import theirs
from torch_retinanet import (
    InputError,
    RetinaNetDetector,
    cli,
    load_model,
)


@pytest.fixture
def made() -> RetinaNetDetector:
    return RetinaNetDetector(SMALL, class_names=list("abcde")).eval()


def assert_same_weights(left: RetinaNetDetector, right: RetinaNetDetector) -> None:
    tensors = right.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in left.state_dict().items())


def test_a_saved_folder_is_read_again_and_says_what_it_is(made: RetinaNetDetector, tmp_path: Path) -> None:
    made.save_pretrained(tmp_path / "published", data="digits", metrics={"mAP": 0.6327})
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == [
        *("README.md", "config.json", "model.safetensors"),
    ]
    again = RetinaNetDetector.from_pretrained(tmp_path / "published", score_threshold=0.5)
    assert_same_weights(again, made)
    assert (again.class_names, again.score_threshold) == (made.class_names, 0.5)
    card = (tmp_path / "published" / "README.md").read_text()
    assert {"Trained on: digits.", "| mAP | 0.633 |", "Classes: a, b, c, d, e."} <= set(card.splitlines())
    described = json.loads((tmp_path / "published" / "config.json").read_text())
    assert (described["class_names"], described["anchor_scale"]) == (list("abcde"), 4.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_a_detector_is_read_in_the_precision_of_its_file(
    dtype: torch.dtype, made: RetinaNetDetector, tmp_path: Path
) -> None:
    made.to(dtype).save_pretrained(tmp_path / "published")
    again = RetinaNetDetector.from_pretrained(tmp_path / "published", score_threshold=0.0)
    assert {parameter.dtype for parameter in again.parameters()} == {dtype}
    assert_same_weights(again, made)
    found = again.predict(noise(3, 96, 64))[0]
    assert len(found["boxes"]) == 300
    assert torch.isfinite(found["boxes"]).all()
    assert found["boxes"].dtype == torch.float32, "as the picture is computed in"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"score_threshold": 0.5}, r"config\.json: score_threshold is 0.5, and 0.2 in model\.safetensors; both must"),
        ({"class_names": list("abcdf")}, r"config\.json: class_names is .*'f'\], and .*'e'\] in model\.safetensors"),
        ({"pixel_std": [1, 1, 1]}, r"config\.json: pixel_std is \[1, 1, 1\], and \[58"),
    ],
)
def test_a_config_that_says_something_else_than_the_weights_is_refused(
    change: dict[str, Any], sentence: str, made: RetinaNetDetector, tmp_path: Path
) -> None:
    made.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"note": "by hand"}))
    assert_same_weights(RetinaNetDetector.from_pretrained(tmp_path), made)
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(InputError, match=sentence):
        RetinaNetDetector.from_pretrained(tmp_path)
    config.write_text("{")
    with pytest.raises(InputError, match=r"config\.json: is not readable JSON"):
        load_model(tmp_path)
    config.write_text(json.dumps({"architectures": ["Other"], "backbone": "vgg"}))
    assert_same_weights(RetinaNetDetector.from_pretrained(tmp_path), made)


@pytest.mark.parametrize("place", ["COCO_V1", "owner/name"])
def test_a_name_can_stand_for_a_file_wherever_one_is_read(
    place: str, made: RetinaNetDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1
    monkeypatch.setattr(type(weights), "get_state_dict", lambda self, **settings: theirs(eps=0.0).state_dict())
    made.save_pretrained(tmp_path / "snapshot")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **settings: str(tmp_path / "snapshot"))
    assert cli.main(["convert", place, str(tmp_path / "out.safetensors")]) == 0
    assert_same_weights(
        RetinaNetDetector.from_pretrained(place), RetinaNetDetector.from_pretrained(tmp_path / "out.safetensors")
    )
    assert cli.main(["convert", place, str(tmp_path / "none.safetensors"), "--preset", "notebook"]) == 2
    assert not (tmp_path / "none.safetensors").exists()


def test_a_repository_is_read_from_the_cache_of_the_hub(made: RetinaNetDetector, tmp_path: Path) -> None:
    """As huggingface_hub keeps it, and as it is found without a network."""
    repository = tmp_path / "models--owner--name"
    made.save_pretrained(repository / "snapshots" / "0a1b")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0a1b")
    with pytest.MonkeyPatch.context() as offline:
        offline.setattr(constants, "HF_HUB_OFFLINE", True)
        assert_same_weights(RetinaNetDetector.from_pretrained("owner/name", cache_dir=tmp_path), made)
        with pytest.raises(FileNotFoundError, match="owner/other: there is no such file, and no repository on the Hub"):
            RetinaNetDetector.from_pretrained("owner/other", cache_dir=tmp_path)


def names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_detector_is_published_as_its_folder(made: RetinaNetDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = create_autospec(huggingface_hub.HfApi, instance=True)
    hub.create_repo.side_effect = lambda name, **_: f"hub/{name}"
    hub.file_exists.return_value = False
    published: list[list[str]] = []
    hub.upload_folder.side_effect = lambda folder_path, **_: published.append(names_in(folder_path))
    made_with = create_autospec(huggingface_hub.HfApi, return_value=hub)
    monkeypatch.setattr(huggingface_hub, "HfApi", made_with)
    assert made.push_to_hub("owner/name") == "hub/owner/name"
    assert published == [["README.md", "config.json", "model.safetensors"]]
    assert not hub.create_branch.called
    made.push_to_hub(repo_id="owner/name", private=True, token="ours", branch="v2", commit_message="Train longer")
    assert made_with.call_args.kwargs == {"token": "ours"}
    assert hub.create_repo.call_args.kwargs["private"]
    assert hub.create_branch.call_args.kwargs["branch"] == "v2"
    said = hub.upload_folder.call_args.kwargs
    assert (said["revision"], said["commit_message"]) == ("v2", "Train longer")
    with pytest.raises(InputError, match="repo_id: 'name' must be the owner's name and its own"):
        made.push_to_hub("name")


def test_a_card_that_people_wrote_stays(made: RetinaNetDetector, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("by hand")
    made.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "by hand"


def test_a_folder_is_only_written_where_it_can_be_read_again(made: RetinaNetDetector, tmp_path: Path) -> None:
    made.model.fpn.backbone.bn1 = nn.GroupNorm(2, 64)
    with pytest.raises(InputError, match=r"tensor fpn\.backbone\.bn1\.running_mean is missing"):
        made.save_pretrained(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_format_is_no_folder(made: RetinaNetDetector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suffix must be one of"):
        made.save_pretrained(tmp_path / "model.pth")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_computed_of_others_are_saved_as_they_are(made: RetinaNetDetector, tmp_path: Path) -> None:
    touched = RetinaNetDetector(made.config).eval()
    nn.utils.parametrizations.weight_norm(touched.model.fpn.conv_c3_1x1)
    touched.save_pretrained(tmp_path)
    saved = RetinaNetDetector.from_pretrained(tmp_path)
    assert torch.equal(saved.model.fpn.conv_c3_1x1.weight, touched.model.fpn.conv_c3_1x1.weight)
    pictures = [noise(3, 64, 64)]
    assert torch.equal(saved(pictures)[0]["boxes"], touched(pictures)[0]["boxes"])
