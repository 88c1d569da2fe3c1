"""What a training step frees is kept for the next one, where the C library can keep it."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator

from parity_tests.tests.support.detectors import SMALL
from torch_retinanet import RetinaNetDetector, memory
from torch_retinanet.train import TrainConfig, train_step

MEMORY = str(Path(memory.__file__))
PAGES = 2**26 // 4096

FAULTS = """
import resource, runpy, sys
if sys.argv[2] == "keep":
    runpy.run_path(sys.argv[1])["keep_freed_memory"]()
def take(): return len(bytearray(2**26))
take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Pages that the system gives to a process which takes, frees and takes again a block of 64 MiB."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
def test_a_block_is_used_again_instead_of_taken_anew() -> None:
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, MEMORY, how], env=plain, stdout=subprocess.PIPE, check=True
            ).stdout
        )
        for how in ("keep", "give back")
    )
    assert kept < PAGES / 100 < PAGES / 2 < given_back


def test_without_the_function_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()


def test_a_run_on_a_cpu_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(train_step, "keep_freed_memory", lambda: asked.append(True))
    train_step.TrainStep(TrainConfig(data="none"), RetinaNetDetector(SMALL), 8, Accelerator(cpu=True))
    assert asked == [True]
