"""The pages that are made from the code: `python docs/pages.py` writes them, and a test compares them with it."""

import contextlib
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from parity_tests.cli import main as retinanet_parity
from parity_tests.peers.figures import FIGURES, HELD, NOT_RUN
from parity_tests.peers.findings import FINDINGS
from parity_tests.tests.support.peer_rungs import RUNGS
from torch_retinanet.cli import main as retinanet
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.weights.weights_file import expected_shapes

HERE = Path(__file__).parent

COMMANDS: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "retinanet": (
        retinanet,
        [
            *("", "inspect", "browse", "split", "anchors", "train", "evaluate", "detect", "export", "verify"),
            *("benchmark", "convert", "conventions"),
        ],
    ),
    "retinanet-parity": (retinanet_parity, ["", "record", "check", "ablate", "backends", "diff"]),
}
"""The commands, what runs them, and their subcommands."""

PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
"""A terminal without colours, 100 letters wide."""

CONVENTIONS = """# Conventions

RetinaNets differ in small ways. Each is one field of `RetinaNetConfig`; a published RetinaNet is a preset. Sources are
beside the fields, in `torch_retinanet/config`. `retinanet conventions` prints the tables below.

The tests compare the preset `torchvision` with `torchvision.models.detection.retinanet_resnet50_fpn` itself. Presets
`notebook` and `keras_io` have a Keras reference, with which `retinanet-parity` compares them. The notebook holds the
network alone: what surrounds it is as in the keras.io example.

Optimisers differ too: `parity_tests/retinanet/optimizers.py` lists nine conventions of theirs, for
`retinanet-parity --override` and `ablate`.

"""


PEERS = HERE / "peers.json"
"""What `make peers-table` measured."""

PEERS_BACK = HERE / "peers_back.json"
"""What `make peers-back` measured."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How the names of tensors end that are not trained."""

PRECISIONS = ("float64", "float32")

PEERS_START = "<!-- The table is made by `make peers-table`. -->\n"
"""Where the table begins on its page; the text before it is kept."""


FINDINGS_START, FINDINGS_END = "<!-- The findings of parity_tests/peers/findings.py. -->\n", "<!-- Their end. -->\n"
"""Between which they stand on that page."""


def pages() -> dict[str, str]:
    """The text of each page by the name of its file."""
    return {
        "conventions.md": CONVENTIONS + said(retinanet, "conventions").strip() + "\n",
        "cli.md": reference(),
        "peers.md": peers(),
    }


def peers() -> str:
    """The page of published RetinaNets: its text, and the tables of how near each is."""
    text = (HERE / "peers.md").read_text(encoding="utf-8").partition(PEERS_START)[0]
    before, _, after = text.partition(FINDINGS_START)
    text = f"{before}{FINDINGS_START}\n{findings()}{FINDINGS_END}{after.partition(FINDINGS_END)[2]}"
    run = json.loads(PEERS.read_text(encoding="utf-8"))
    left_out = "".join(
        f"- {row['package']}, `{name}`: {why}.\n" for row in run.values() for name, why in row["not_reproduced"].items()
    )
    parts = [overview(run), by_rung(run), read_back(), f"## What is not reproduced\n\n{left_out}", figures()]
    return f"{text}{PEERS_START}\n" + "\n".join(parts)


def overview(run: dict[str, Any]) -> str:
    """A row for each preset, run against its original or not."""
    lines = [
        "| preset | original | parameters | comparisons | sizes | float64 | float32 |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = {
        row.preset: f"{row.original} | {parameters(row.preset):,} | *not run against the original* | - | - | -"
        for row in NOT_RUN
    }
    for preset, row in run.items():
        far = " | ".join(difference_of(worst(row["largest"][dtype])) for dtype in PRECISIONS)
        by_tie = f", {row['ties']} by a tie" if row["ties"] else ""
        verdict = f"{row['different']} different" if row["different"] else f"{row['comparisons']}, all equal{by_tie}"
        original, sizes = f"{row['package']} {row['version']}".strip(), ", ".join(row["sizes"])
        rows[preset] = f"{original} | {parameters(preset):,} | {verdict} | {sizes} | {far}"
    return "\n".join([*lines, *(f"| `{preset}` | {rows[preset]} |" for preset in sorted(rows))]) + "\n"


def by_rung(run: dict[str, Any]) -> str:
    """A row for each preset and precision: the largest difference of each rung."""
    title = "The same by rung. A dash stands where none is recorded in that precision.\n"
    lines = [title, f"| preset | precision | {' | '.join(RUNGS)} |", "|---" * (2 + len(RUNGS)) + "|"]
    for preset, row in run.items():
        for dtype in PRECISIONS:
            cells = (difference_of(row["largest"][dtype].get(rung), used=False) for rung in RUNGS)
            lines.append(f"| `{preset}` | {dtype} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read_back() -> str:
    """A row for each file that the original read."""
    text = (
        "## Read back by the original\n\n"
        "`make peers-back` writes a file of each format with random weights and statistics. The original reads it in "
        "its own environment,\nand its logits and deltas are compared with ours. Figures are those of the table above; "
        "a budget of float32 is what rounding\ncosts either side, hence tighter than there.\n\n"
        "| preset | file | comparisons | sizes | float64 | float32 |\n|---|---|---|---|---|---|\n"
    )
    for row in json.loads(PEERS_BACK.read_text(encoding="utf-8")).values():
        changes = "".join(f", `{name}={value}`" for name, value in row["changes"].items())
        verdict = f"{row['different']} different" if row["different"] else f"{row['comparisons']}, all equal"
        far = " | ".join(difference_of(row["largest"][dtype]) for dtype in PRECISIONS)
        text += f"| `{row['preset']}` | `{row['file']}`{changes} | {verdict} | {', '.join(row['sizes'])} | {far} |\n"
    return text


def figures() -> str:
    """The presets that are not run against their originals, and by which figures they are held."""
    text = "## Not run against the original\n\n"
    for row in NOT_RUN:
        text += f"- `{row.preset}`, the {row.original}: {row.why}. Instead, {row.held}.\n"
    text += f"\nFigures that its source gives, and that the tests hold preset `{HELD}` against:\n\n"
    return text + "".join(f"- {figure.says}: {figure.figure} ({figure.source}).\n" for figure in FIGURES)


def findings() -> str:
    """A line for each finding: its package, its sentence and figure, and the command that prints it."""
    lines = []
    for finding in FINDINGS:
        lines += [f"- **{finding.package}**: {finding.says}: {finding.figure}.", f"  `{finding.command}`"]
    return "\n".join(lines) + "\n\n"


def parameters(preset: str) -> int:
    """Numbers that are trained in the network of a preset."""
    shapes = expected_shapes(RetinaNetConfig.preset(preset))
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(STATISTICS))


def worst(largest: dict[str, Any]) -> dict[str, Any] | None:
    """Of the rungs of a precision the largest difference, and the largest share of what is allowed."""
    if not largest:
        return None
    return {name: max(rung[name] for rung in largest.values()) for name in ("difference", "used")}


def difference_of(largest: dict[str, Any] | None, *, used: bool = True) -> str:
    """The largest difference as a share of the largest value, and its share of what is allowed."""
    if largest is None:
        return "-"
    difference = f"{largest['difference']:.0e}" if largest["difference"] else "0"
    return f"{difference}, {largest['used']:.0%}" if used else difference


def reference() -> str:
    """The help of all commands."""
    text = "# CLI reference\n\nWhat `--help` prints.\n"
    for name, (run, subcommands) in COMMANDS.items():
        for subcommand in subcommands:
            title = f"{name} {subcommand}".strip()
            shown = said(run, *([subcommand] if subcommand else []), "--help")
            lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
            text += f"\n## {title}\n\n```\n{lines}\n```\n"
    return text


def said(run: Callable[[list[str]], int], *arguments: str) -> str:
    """What a command prints."""
    with mock.patch.dict(os.environ, PLAIN), contextlib.redirect_stdout(io.StringIO()) as shown:
        with contextlib.suppress(SystemExit):
            run([*arguments])
        return shown.getvalue()


if __name__ == "__main__":
    for page, text in pages().items():
        (HERE / page).write_text(text, encoding="utf-8")
