"""How well anchors cover the boxes of a data set, and which anchors are proposed for it."""

from pathlib import Path

import pytest
import torch

from parity_tests.tests.support.data_sets import write_csv
from torch_retinanet import RetinaNetConfig
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.boxes import box_iou
from torch_retinanet.cli import main
from torch_retinanet.data.anchor_coverage import SeenBoxes, coverage, seen_boxes
from torch_retinanet.data.anchor_search import covered, propose_anchors
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.preprocess import padded_size, resized_size

HEIGHT, WIDTH = 320, 480


def boxes_of(low: float, high: float, *, ratio: float = 1.0, seed: int = 0) -> SeenBoxes:
    """Boxes (300,4) anywhere on a picture, sides between `low` and `high` pixels, of a ratio of width to height."""
    random = torch.Generator().manual_seed(seed)
    sides = low + (high - low) * torch.rand(300, 1, generator=random, dtype=torch.float64)
    sides = torch.cat([sides * ratio**0.5, sides / ratio**0.5], dim=1)
    corners = torch.rand(300, 2, generator=random, dtype=torch.float64) * (torch.tensor([WIDTH, HEIGHT]) - sides)
    return SeenBoxes(torch.cat([corners, corners + sides], dim=1), torch.tensor([[HEIGHT, WIDTH]]).expand(300, 2))


@pytest.mark.parametrize("preset", ["torchvision", "keras_io", "detectron2", "keras_cv"])
@pytest.mark.parametrize("changes", [{}, {"min_level": 2, "max_level": 5, "anchor_scale": 1.4}])
def test_a_box_is_covered_as_by_the_best_of_all_anchors(preset: str, changes: dict[str, float]) -> None:
    config, seen = RetinaNetConfig.preset(preset, num_classes=1, **changes), boxes_of(5, 200, ratio=1.7)
    anchors = AnchorGenerator(config).get_anchors(HEIGHT, WIDTH, dtype=torch.float64)
    best = torch.stack([box_iou(box[None], anchors).max() for box in seen.boxes_xyxy])
    assert torch.allclose(coverage(seen, config), best, rtol=1e-12, atol=0)


def test_boxes_are_seen_as_a_model_resizes_their_pictures(tmp_path: Path) -> None:
    annotations = screen(read_annotations(write_csv(tmp_path)), decode=False)
    config = RetinaNetConfig.torchvision(num_classes=2, min_side=80, max_side=100)
    size = resized_size((40, 60), config)
    seen = seen_boxes(annotations, config)
    scale = torch.tensor([size.pixels[1] / 60, size.pixels[0] / 40] * 2, dtype=torch.float64)
    assert torch.equal(seen.boxes_xyxy, torch.from_numpy(annotations.boxes) * scale)
    assert seen.sizes.tolist() == [list(padded_size([size], config))] * len(annotations.boxes)


def test_anchors_that_fit_are_left_alone() -> None:
    config = RetinaNetConfig.torchvision(num_classes=1)
    assert propose_anchors(boxes_of(32, 300), config) == config


@pytest.mark.parametrize(
    ("seen", "field"),
    [
        (boxes_of(15, 26), "anchor_scale"),  # too small for anchors of 32 pixels
        (boxes_of(40, 120, ratio=6.0), "anchor_ratios"),  # six times as wide as high
        (boxes_of(6, 10), "min_level"),  # smaller than a cell of P3
    ],
)
def test_what_does_not_fit_is_proposed_anew(seen: SeenBoxes, field: str) -> None:
    config = RetinaNetConfig.torchvision(num_classes=1)
    proposed = propose_anchors(seen, config)
    assert field in proposed.differences(config)
    assert proposed.anchors_per_cell == config.anchors_per_cell
    assert covered(coverage(seen, config), 0.5) < 0.5
    assert covered(coverage(seen, proposed), 0.5) > covered(coverage(seen, config), 0.5) + 0.3
    assert covered(coverage(seen, proposed), 0.4) > 0.8


def test_large_objects_keep_their_anchors_where_most_are_tiny() -> None:
    config, large = RetinaNetConfig.torchvision(num_classes=1), boxes_of(250, 315)
    tiny = boxes_of(5, 9)
    seen = SeenBoxes(torch.cat([tiny.boxes_xyxy, large.boxes_xyxy[:60]]), torch.cat([tiny.sizes, large.sizes[:60]]))
    proposed = propose_anchors(seen, config)
    assert covered(coverage(tiny, proposed), 0.4) > 0.9
    assert covered(coverage(large, proposed), 0.5) > 0.9


def test_the_command_names_the_flags_of_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = str(write_csv(tmp_path)), tmp_path / "anchors.png"
    assert main(["anchors", data, "--min-side", "32", "--max-side", "48", "--out", str(out)]) == 0
    *table, drawn, advice = capsys.readouterr().out.splitlines()
    words = advice.split()
    start = f"to train with them: retinanet train {data} --preset torchvision --min-side 32 --max-side 48 --conventions"
    assert advice.startswith(start)
    config = RetinaNetConfig.torchvision(num_classes=2)
    for assignment in words[words.index("--conventions") + 1 :]:
        config = config.with_convention(assignment)
    assert config != RetinaNetConfig.torchvision(num_classes=2)
    assert any("boxes with an IoU of 0.5 or more" in line for line in table)
    assert drawn == f"drawn in {out}"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_data_set_without_objects_has_no_anchors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    path.write_text("a.png,,,,,\n")
    assert main(["anchors", str(path)]) == 2
    assert "must have an object" in capsys.readouterr().err
