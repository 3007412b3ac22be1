"""However a run ends, its last line is a sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from embedkit.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["typer", "embedkit.api", "numpy", "embedkit.encoders", "embedkit.datasets.layouts.folder"]
)
def test_ctrl_c_during_an_import_is_a_sentence_and_status_130(module: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "resnet18.safetensors").write_bytes(b"weights")
    words = ["extract", "--model", "resnet18", "--data", "folder:images", "--weights", "resnet18.safetensors"]
    command = [sys.executable, "-c", INTERRUPTED.format(module=module), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")
