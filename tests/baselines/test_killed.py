"""A training that dies goes on after its last finished epoch and ends as if nothing had happened."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from embedkit.baselines import checkpoint
from embedkit.extraction import Interrupted, Silent
from embedkit.probing import ProbeResult
from tests.baselines.running import EPOCHS, run


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(place: Path) -> ProbeResult:
    import torch

    torch.set_num_threads(1)
    return run(place / "images", place / "work")


def _state(workspace: Path) -> Path | None:
    return next(workspace.glob("killed/.trained/*/fold-0.safetensors"), None)


def _epochs(workspace: Path) -> int:
    path = _state(workspace)
    found = checkpoint.load(path) if path else None
    return len(found[1]["history"]) if found else 0


def _stop_in_the_middle(place: Path, how: signal.Signals) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.baselines.running", str(place / "images"), str(place / "work")]
    top = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=top, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if _epochs(place / "work") >= 2:
            break
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_training_ends_with_the_same_numbers(tmp_path: Path, whole: ProbeResult, how: signal.Signals) -> None:
    status, said = _stop_in_the_middle(tmp_path, how)
    done = _epochs(tmp_path / "work")
    assert 2 <= done < EPOCHS
    if how == signal.SIGINT:
        assert f"The {done} finished epochs" in said
    else:
        assert status == -how

    heard = Heard()
    resumed = run(tmp_path / "images", tmp_path / "work", heard)
    epochs = [note for note in heard.notes if "epoch " in note]
    assert epochs[0].startswith(f"timm-test_resnet: epoch {done + 1} of {EPOCHS}")
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions, check_exact=True)
    assert resumed.selected == whole.selected
    assert resumed.auc == whole.auc
    assert resumed.key == whole.key
    assert resumed.cost["multiply_adds"] == whole.cost["multiply_adds"]


def test_ctrl_c_while_an_epoch_is_written_does_not_count_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = checkpoint.save
    written = []

    def save(*given: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(real(*given))

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(Interrupted, match="The 2 finished epochs"):
        run(tmp_path / "images", tmp_path / "work")
    assert _epochs(tmp_path / "work") == 2


def test_done_is_done_and_only_the_best_weights_are_left(place: Path, whole: ProbeResult) -> None:
    path = _state(place / "work")
    assert path is not None
    found = checkpoint.load(path)
    assert found is not None
    assert {name.partition(".")[0] for name in found[0]} == {"best"}
    heard = Heard()
    again = run(place / "images", place / "work", heard)
    assert heard.notes == []
    pd.testing.assert_frame_equal(again.predictions, whole.predictions, check_exact=True)
    assert not list((place / "work").rglob("*.pixels"))
