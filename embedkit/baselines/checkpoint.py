"""The state of a training after an epoch, in one safetensors file with a JSON record in its header."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedkit.cache.errors import CacheError, writing_to
from embedkit.cache.whole import whole_file

if TYPE_CHECKING:
    from torch import Tensor


def save(path: Path, tensors: "dict[str, Tensor]", record: dict[str, Any]) -> None:
    """Write a state; whenever the process is killed, the file is the last one or this one, whole.

    Raises:
        CacheError: the disk is full or closed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with writing_to(path.parent), whole_file(path) as temporary:
        try:
            save_file(plain, temporary, metadata={"record": json.dumps(record)})
        except SafetensorError as error:
            raise CacheError(
                f"the state of the training can't be written to {path} ({error}): free some space"
            ) from error


def load(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
    """Return the tensors and the record, or None where there is no file.

    Raises:
        CacheError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["record"])  # noqa: SIM118 - it is no dict
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise CacheError(f"the state of a training {path} is damaged ({error}): remove it to begin anew") from error
