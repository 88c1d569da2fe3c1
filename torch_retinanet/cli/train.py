"""`retinanet train`: a run from annotations, by flags or a TOML file, and going on with one that was ended."""

import argparse
from contextlib import redirect_stderr
from dataclasses import fields, replace
from io import StringIO
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.choices import say_choice
from torch_retinanet.cli.meant import meant
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note, say

if TYPE_CHECKING:
    from torch_retinanet.train import TrainConfig, Trainer

STOPPED = 130
"""What a shell reports of a program that Ctrl-C ended."""

DATA_CHANGED = "--data-changed"
"""The flag by which a run goes on though its data have changed."""

WRONG_USAGE = 2
"""What tyro ends with where it cannot read the flags."""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser, which leaves its flags to the settings themselves."""
    train = commands.add_parser(
        "train",
        help="train on your own pictures; --resume RUN continues a run, --steps N then makes it longer",
        add_help=False,
        prefix_chars="\0",
    )
    train.add_argument("flags", nargs=argparse.REMAINDER)
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from torch_retinanet.train import Interrupted, Trainer

    flags = list(options.flags)
    folder, data_changed = _taken(flags, "--resume"), DATA_CHANGED in flags
    flags = [flag for flag in flags if flag != DATA_CHANGED]
    if data_changed and folder is None:
        raise InputError(f"{DATA_CHANGED}: must come with --resume")
    steps = None if folder is None else _taken(flags, "--steps")
    config = _settings(flags) if folder is None else _resumed(Path(folder), steps, flags)
    run = Trainer(config, resume=folder is not None, data_changed=data_changed)
    if steps is not None:
        run.set_steps()
    if run.accelerator.is_main_process:
        for change in run.changes:
            note(f"retinanet: {change}")
        say_choice(Path(config.data), run.annotations)
        _say_what_is_lost(run)
        _say_what_is_odd(run)
    if run.taken_over is not None and run.accelerator.is_main_process:
        for line in run.taken_over.lines():
            note(f"retinanet: {line}")
    try:
        run.fit()
    except Interrupted as stopped:
        note(f"retinanet: {stopped}; `retinanet train --resume {config.out}` goes on")
        return STOPPED
    if run.accelerator.is_main_process:
        say(run.summary())
    return 0


def _resumed(folder: Path, steps: str | None, flags: list[str]) -> "TrainConfig":
    """The settings of a run that is continued, of which `--steps` alone may be another."""
    from torch_retinanet.train import settings_of

    if flags:
        raise InputError(f"--resume: {folder} has its settings; --steps can change, and {flags[0]} cannot")
    if steps is not None and not (steps.isascii() and steps.isdecimal()):
        raise InputError(f"--steps: {steps!r} must be a whole number")
    config = replace(settings_of(folder), out=folder)
    return config if steps is None else replace(config, steps=int(steps))


def _say_what_is_lost(run: "Trainer") -> None:
    """Before the first step, as data that lies elsewhere is best found then."""
    from torch_retinanet.data.screening import NOT_FOUND

    lost = sum(problem.data_loss for problem in run.problems)
    if lost:
        kept = f"{len(run.annotations.pictures):,} pictures and {run.annotations.object_count:,} objects are left"
        note(f"retinanet: {lost:,} entries cannot be used, `retinanet inspect` lists them; {kept}")
    for problem in run.problems:
        if problem.kind == NOT_FOUND:
            note(f"retinanet: {problem.finding}; {problem.action}")


def _say_what_is_odd(run: "Trainer") -> None:
    """What is taken for granted, boxes that are hardly there, and pictures to evaluate on that are trained on."""
    from torch_retinanet.data.screening import SLIVER, slivers

    for problem in run.problems:
        if problem.assumption:
            note(f"retinanet: {problem.file}: {problem.finding}; {problem.action}")
    thin, count = int(slivers(run.annotations).sum()), run.annotations.object_count
    if 2 * thin > count:
        what = f"{thin:,} of {count:,} objects have a side below {SLIVER:g} pixels"
        how = f"`retinanet browse {run.config.data}` shows whether they lie right"
        note(f"retinanet: {run.config.data}: {what}; {how}")
    if run.copies:
        (name, trained), count = run.copies[0], len(run.copies)
        what = f"pictures to evaluate on that are trained on too: {count:,}, as {name!r}, the same file as {trained!r}"
        note(f"retinanet: {what}; mAP is higher for it than on new pictures")


def _settings(flags: list[str]) -> "TrainConfig":
    import tyro

    from torch_retinanet.train import TrainConfig

    file = _taken(flags, "--config")
    default: Any = None if file is None else TrainConfig.from_toml(Path(file), data=tyro.MISSING)
    said = StringIO()
    try:
        with redirect_stderr(said):
            config: TrainConfig = tyro.cli(
                TrainConfig,
                prog="retinanet train",
                description="Train on your own pictures. --config FILE reads settings from TOML; --resume RUN goes "
                "on, and with --data-changed also where its data have changed.",
                args=flags,
                default=default,
            )
        return config
    except SystemExit as end:
        if end.code != WRONG_USAGE:
            raise
        typed = next((flag for flag in flags if flag.startswith("--") and flag not in _flags()), "")
        raise InputError(_sentence(said.getvalue(), _meant(typed))) from None


def _meant(typed: str) -> str:
    """The flag that was meant; a convention is given by one flag for all."""
    from torch_retinanet.config import RetinaNetConfig
    from torch_retinanet.config.fields import conventions

    name = typed.lstrip("-").replace("-", "_")
    if name in {field.name for field in conventions(RetinaNetConfig)}:
        return f"; did you mean --conventions {name}=VALUE?"
    return meant(typed, _flags())


def _flags() -> list[str]:
    from torch_retinanet.train import TrainConfig

    return [f"--{field.name.replace('_', '-')}" for field in fields(TrainConfig)]


def _sentence(box: str, nearest: str) -> str:
    """What tyro says in a box, without its title and lines, and without the help on a flag that is below them."""
    rows = [line.strip(" │╭╮╰╯") for line in box.splitlines()[1:]]
    said = takewhile(lambda row: row.strip("─-"), dropwhile(lambda row: not row.strip("─-"), rows))
    sentence = " ".join(said).removeprefix("Error parsing TrainConfig: ")
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}{nearest}; `retinanet train --help` lists all settings"


def _taken(flags: list[str], name: str) -> str | None:
    """The value of a flag, which is taken out of `flags`."""
    if joined := next((flag for flag in flags if flag.startswith(f"{name}=")), None):
        flags.remove(joined)
        return joined.partition("=")[2]
    if name not in flags:
        return None
    place = flags.index(name)
    if place + 1 == len(flags):
        raise InputError(f"{name}: must be followed by a value")
    value = flags[place + 1]
    del flags[place : place + 2]
    return value
