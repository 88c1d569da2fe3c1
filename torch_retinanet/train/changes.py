"""What of a run is not what it was: its data since it began, and its settings since its last checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch_retinanet.train.config import TrainConfig
from torch_retinanet.train.data_record import DataRecord, PictureRecord, RunData

NAMED = 3
"""Pictures and classes that are named of all that have changed."""


def data_changes(before: RunData, now: RunData) -> list[str]:
    """What has changed, a few words each: classes, pictures, boxes and the order of pictures, which and how many."""
    changes = list(_changes(before.train, now.train))
    if before.val is None or now.val is None:
        return changes if before.val is now.val else [*changes, "pictures to evaluate on: all new or gone"]
    return changes + [f"to evaluate on, {change}" for change in _changes(before.val, now.val)]


def setting_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What has another value, as `batch was 2 and is 4`; what an earlier version did not know had its default."""
    before = TrainConfig(data=before["data"]).as_dict() | dict(before)
    names = [name for name in {**before, **now} if name != "out" and before.get(name) != now.get(name)]
    return [f"{name} was {_said(before.get(name))} and is {_said(now.get(name))}" for name in names]


def _changes(before: DataRecord, now: DataRecord) -> Iterator[str]:
    old, new = ({picture.name: picture for picture in data.pictures} for data in (before, now))
    both = [(picture, new[name]) for name, picture in old.items() if name in new]
    found = {
        "classes: another name or place": _other_classes(before.classes, now.classes),
        "pictures: gone": [name for name in old if name not in new],
        "pictures: new": [name for name in new if name not in old],
        "pictures: other content": [one.name for one, other in both if _file(one) != _file(other)],
        "boxes: changed on pictures": [one.name for one, other in both if one.boxes != other.boxes],
        "order: pictures elsewhere": _moved([one.name for one, _ in both], [name for name in new if name in old]),
    }
    for what, names in found.items():
        if names:
            shown = ", ".join(map(repr, names[:NAMED]))
            yield f"{what}: {len(names):,} ({shown}{', …' if len(names) > NAMED else ''})"


def _other_classes(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """The names of the labels that had others, or none, and those that have none now."""
    changed = [name for label, name in enumerate(now) if label >= len(before) or before[label] != name]
    return changed + list(before[len(now) :])


def _moved(before: Sequence[str], now: Sequence[str]) -> list[str]:
    return [name for name, other in zip(before, now, strict=True) if name != other]


def _file(picture: PictureRecord) -> tuple[int, str]:
    return picture.size, picture.content


def _said(value: Any) -> str:
    return "the default" if value is None else repr(value)
