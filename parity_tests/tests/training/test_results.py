"""COCO's results and truth: written and read again, evaluated as COCO's tools do, and refused with file and place."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests.tests.support.evaluation import found
from torch_retinanet.errors import InputError
from torch_retinanet.evaluate import coco_metrics, json_list, read_results, read_truth, result_rows

TRUTH: dict[str, Any] = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "/elsewhere/b.jpg"}, {"id": "c"}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {"image_id": 3, "category_id": 18, "bbox": [10.5, 10, 40, 40], "area": 900.0, "iscrowd": 0},
        {"image_id": 7, "category_id": 2, "bbox": [0, 0, 20, 30]},
        {"image_id": 3, "category_id": 2, "bbox": [50, 50, 100, 100], "iscrowd": 1, "area": None},
    ],
}
RESULT: dict[str, Any] = {"image_id": 7, "category_id": 2, "bbox": [0, 0, 20, 30], "score": 0.5}


def write(folder: Path, content: Any, name: str = "truth.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_truth_has_pictures_and_labels_in_the_order_of_their_ids(tmp_path: Path) -> None:
    """Which pycocotools takes them in, and which decides between equal scores."""
    truth = read_truth(write(tmp_path, TRUTH))
    assert (truth.picture_ids, truth.class_ids, truth.names) == ([3, 7, "c"], [2, 18], ["cat", "dog"])
    first, second, third = truth.targets
    assert first["boxes"].tolist() == [[10.5, 10, 50.5, 50], [50, 50, 150, 150]]
    assert (first["labels"].tolist(), first["area"].tolist()) == ([1, 0], [900, 10000])
    assert first["ignored"].tolist() == [False, True]
    assert second["boxes"].tolist() == [[0, 0, 20, 30]]
    assert (second["labels"].tolist(), second["area"].tolist()) == ([0], [600])
    assert third["boxes"].shape == (0, 4)


def test_results_are_those_of_their_pictures_in_the_order_of_the_truth(tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path, TRUTH))
    rows = [RESULT | {"score": 0.25}, RESULT | {"image_id": "c", "category_id": 18}, RESULT | {"score": 0.75}]
    first, second, third = read_results(write(tmp_path, rows, "results.json"), truth)
    assert first["boxes"].shape == (0, 4)
    assert second["scores"].tolist() == [0.25, 0.75]
    assert (third["labels"].tolist(), third["boxes"].tolist()) == ([1], [[0, 0, 20, 30]])


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(50, 2, generator=generator) * 1000
    boxes = torch.cat([corners, corners + torch.rand(50, 2, generator=generator) * 100], dim=1)
    detections = found(boxes, torch.rand(50, generator=generator).tolist(), [0, 1] * 25)
    truth, path = read_truth(write(tmp_path, TRUTH)), tmp_path / "results.json"
    with json_list(path) as append:
        for row in result_rows(detections, picture_id=3, file_name="b.jpg", class_ids=truth.class_ids):
            append(row)
    again = read_results(path, truth)[0]
    assert all(torch.equal(again[name].to(values), values) for name, values in detections.items())
    assert len(json.loads(path.read_text())) == 50


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_list_is_json_however_long(rows: int, tmp_path: Path) -> None:
    with json_list(tmp_path / "list.json") as append:
        for row in range(rows):
            append({"row": row})
    assert json.loads((tmp_path / "list.json").read_text()) == [{"row": row} for row in range(rows)]


def test_a_list_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, "before", "list.json")
    with pytest.raises(TypeError), json_list(tmp_path / "list.json") as append:
        append({"row": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]
    assert (tmp_path / "list.json").read_text() == "before"


def random_files(folder: Path) -> tuple[Path, Path]:
    """A truth with crowds and areas, and results near it, all with seeded noise."""
    generator = torch.Generator().manual_seed(1)

    def noise(low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=generator)), 2)

    truth: dict[str, Any] = {
        "images": [{"id": 100 - i} for i in range(12)],
        "categories": [{"id": i, "name": f"class {i}"} for i in (1, 3, 8)],
        "annotations": [],
    }
    rows = []
    for i in range(120):
        x, y, w, h = noise(0, 300), noise(0, 300), noise(10, 150), noise(10, 150)
        ids = {"image_id": 100 - i % 12, "category_id": (1, 3, 8)[i % 3]}
        crowd = int(i % 9 == 0)
        truth["annotations"].append(
            ids | {"id": i + 1, "bbox": [x, y, w, h], "area": w * h * noise(0.4, 1), "iscrowd": crowd}
        )
        for _ in range(i % 3):
            box = [x + noise(-9, 9), y + noise(-9, 9), w * noise(0.8, 1.2), h * noise(0.8, 1.2)]
            rows.append(ids | {"bbox": box, "score": noise(0, 1)})
    return write(folder, truth), write(folder, rows, "results.json")


def test_the_numbers_of_two_files_are_those_of_the_tools_of_coco(tmp_path: Path) -> None:
    tools: Any = importlib.import_module("faster_coco_eval")
    truth_file, results_file = random_files(tmp_path)
    theirs = tools.COCO(str(truth_file))
    results = theirs.loadRes(str(results_file))
    evaluation = tools.COCOeval_faster(theirs, results, "bbox", print_function=lambda *_: None)
    evaluation.run()
    truth = read_truth(truth_file)
    numbers = coco_metrics(read_results(results_file, truth), truth.targets)
    assert list(numbers.values()) == pytest.approx([float(value) for value in evaluation.stats], abs=1e-6)
    assert 0.1 < numbers["map"] < 0.8
    assert len(set(numbers.values())) > 9
    scores = [row["score"] for row in json.loads(results_file.read_text())]
    assert len(set(scores)) < len(scores), "some are equal"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"image_id": 8}, "results[1]: image_id 8 is not in {truth}"),
        ({"image_id": "8"}, "results[1]: image_id '8' is not in {truth}"),
        ({"category_id": 3}, "results[1]: category_id 3 is not in {truth}"),
        ({"score": float("nan")}, "results[1]: score is nan, and must be finite"),
        ({"score": float("inf")}, "results[1]: score is inf, and must be finite"),
        ({"score": "high"}, "results[1]: score: no number: 'high'"),
        ({"score": True}, "results[1]: score: no number: True"),
        ({"bbox": [0, 0, 5]}, "results[1]: bbox has 3 numbers, and must have 4"),
        ({"bbox": [0, 0, 5, None]}, "results[1]: bbox: no number: None"),
        ({"bbox": [0, 0, -5, 5]}, "results[1]: bbox is [0.0, 0.0, -5.0, 5.0], and width and height must not be below"),
        ({"bbox": [0, 0, 5, float("nan")]}, "results[1]: bbox is [0.0, 0.0, 5.0, nan], and all numbers must be finite"),
        ({"image_id": None}, "results[1]: image_id: no number: None"),
    ],
)
def test_a_wrong_result_is_refused_with_its_place(row: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path, TRUTH))
    path = write(tmp_path, [RESULT, RESULT | row], "results.json")
    expected = f"{path}: {sentence.format(truth=truth.path)}"
    with pytest.raises(InputError, match=f"^{re.escape(expected)}"):
        read_results(path, truth)


@pytest.mark.parametrize(
    "row", [{"image_id": "7", "category_id": 2.0}, {"score": "5e-1", "bbox": ["0", 0.0, "20", 30]}]
)
def test_results_are_read_in_any_notation(row: dict[str, Any], tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path, TRUTH))
    read = [read_results(write(tmp_path, [one], "results.json"), truth) for one in (RESULT, RESULT | row)]
    assert [[values.tolist() for values in found.values()] for found in read[0]] == [
        [values.tolist() for values in found.values()] for found in read[1]
    ]


def test_a_result_that_lacks_something_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, [RESULT, {name: RESULT[name] for name in RESULT if name != "score"}], "results.json")
    with pytest.raises(InputError, match=re.escape(f"{path}: results[1]: must have the field 'score'")):
        read_results(path, read_truth(write(tmp_path, TRUTH)))


def test_boxes_without_extent_and_what_is_there_beside_are_read(tmp_path: Path) -> None:
    """A detection without extent hits nothing, and counts as one that is wrong."""
    truth = read_truth(write(tmp_path, TRUTH))
    flat = RESULT | {"bbox": [5, 5, 0, 10], "score": 0.9, "segmentation": [[1, 2, 3]], "id": 4}
    alone = coco_metrics(read_results(write(tmp_path, [RESULT], "results.json"), truth), truth.targets)
    both = coco_metrics(read_results(write(tmp_path, [flat, RESULT], "results.json"), truth), truth.targets)
    assert both["map_50"] < alone["map_50"]


def test_no_results_find_nothing(tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path, TRUTH))
    assert coco_metrics(read_results(write(tmp_path, [], "results.json"), truth), truth.targets)["map"] == 0


def changed(entries: str, place: int, /, **values: Any) -> dict[str, Any]:
    """The truth with another entry at a place of a list."""
    return TRUTH | {entries: [entry | values if i == place else entry for i, entry in enumerate(TRUTH[entries])]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "must be whole JSON"),
        ('{"images": [', "must be whole JSON"),
        ("[" * 100_000, "must be "),
        ([], "must be an object with lists images, annotations, categories"),
        ({"images": []}, "must be an object with lists images, annotations, categories"),
        (changed("images", 1, id=7), "images[1]: id twice: 7"),
        (changed("categories", 1, id=18), "categories[1]: id twice: 18"),
        (changed("categories", 1, name=None), "categories[1]: malformed: no name"),
        (changed("annotations", 1, image_id=5), "annotations[1]: unknown picture: image_id 5"),
        (changed("annotations", 1, category_id=5), "annotations[1]: unknown class: category_id 5"),
        (changed("annotations", 1, bbox=[0, 0, 1, -1]), "annotations[1]: bbox is [0.0, 0.0, 1.0, -1.0], and width"),
        (changed("annotations", 1, bbox=[0, 0, 1, float("inf")]), "annotations[1]: bbox is [0.0, 0.0, 1.0, inf], and"),
        (changed("annotations", 1, bbox=[]), "annotations[1]: no box of four numbers, and no segmentation"),
    ],
)
def test_a_wrong_truth_is_refused_with_its_place(content: Any, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {sentence}')}"):
        read_truth(path)


def test_missing_files_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json: there is no such file$"):
        read_truth(tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json: there is no such file$"):
        read_results(tmp_path / "nowhere.json", read_truth(write(tmp_path, TRUTH)))


def test_an_empty_truth_has_no_numbers(tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path, {"images": [], "annotations": [], "categories": []}))
    assert coco_metrics(read_results(write(tmp_path, [], "results.json"), truth), truth.targets)["map"] == -1
