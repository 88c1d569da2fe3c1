"""Doors that other tools look for at the root: torch.hub, a citation, forms and checks of a code host."""

import sys
from typing import Any

import pytest
import torch
import yaml

from parity_tests.tests.support.paths import ROOT
from torch_retinanet import RetinaNetDetector, __version__


@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2"])
def test_torch_hub_builds_a_detector(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    hub: Any = torch.hub
    settings = {"weights": None, "weights_backbone": None, "num_classes": 2, "backbone": "resnet18"}
    built = hub.load(str(ROOT), name, source="local", **settings)
    assert isinstance(built, RetinaNetDetector)
    assert built.config.num_classes == 2


def test_the_citation_is_of_this_version() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["version"] == __version__
    assert {"cff-version", "title", "message", "authors", "license"} <= said.keys()


def test_the_workflow_calls_every_check() -> None:
    said = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert ".ci/run" in [step.get("run") for job in said["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("form", ["bug", "data", "difference"])
def test_a_form_for_issues_asks_for_something(form: str) -> None:
    said = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8"))
    assert said["name"]
    assert [field for field in said["body"] if field["type"] != "markdown"]


def test_the_checks_before_a_commit_are_those_of_ci() -> None:
    said = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    entries = [hook["entry"].removesuffix(" --fix") for repository in said["repos"] for hook in repository["hooks"]]
    assert entries
    assert [entry for entry in entries if entry not in run] == []
