"""Sentence encoders: a BERT of transformers, its tokens averaged (or its first one taken) as its folder says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders import checkpoint
from embedkit.encoders.sentence import LENGTH, POOLING, weights_file
from embedkit.encoders.text_encoder import TextEncoder
from embedkit.errors import EmbedkitError

# A tokenizer without a limit says so with a number of this size.
_NO_LIMIT = 100_000


def pooling_of(folder: Path) -> str:
    """Return ``mean`` or ``cls``, what the folder says of it; ``mean`` where it says nothing.

    Raises:
        EmbedkitError: it is pooled in another way.
    """
    path = folder / POOLING
    if not path.is_file():
        return "mean"
    said = {name for name, value in _read(path).items() if name.startswith("pooling_mode") and value is True}
    known = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(said) != 1 or not said <= set(known):
        raise EmbedkitError(f"{path} asks for {', '.join(sorted(said)) or 'no pooling'}: embedkit has mean and cls")
    return known[said.pop()]


def load(name: str, folder: Path, device: str) -> TextEncoder:
    """Return the sentence encoder in a folder. Nothing but tensors is read from its weights, and no code of it runs.

    Raises:
        EmbedkitError: transformers is not installed, or the files don't fit together.
    """
    try:
        from transformers import AutoConfig, AutoModel, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise EmbedkitError(f"{name} needs transformers: pip install 'embedkit[text]'") from error
    import torch

    weights = weights_file(folder)
    state = checkpoint.load(weights)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        # The bar that it draws is not ours to show.
        logging.disable_progress_bar()
        with torch.device("meta"):
            kind: Any = type(AutoModel.from_config(config, trust_remote_code=False))
        # Older names and those of a model with a head are turned by transformers itself.
        model, told = kind.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).split("\n")[0]
        raise EmbedkitError(f"the files in {folder} are no text encoder of transformers: {reason}") from error
    # The pooler is a layer behind the tokens that this use leaves out.
    missing = sorted(key for key in told["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise EmbedkitError(f"{weights} does not fit {name}: {len(missing)} tensors missing, e.g. {missing[0]}")
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", _NO_LIMIT)]
    if (folder / LENGTH).is_file():
        limits.append(_read(folder / LENGTH).get("max_seq_length") or _NO_LIMIT)
    context = min(limits)
    return TextEncoder(
        run=_runner(model, tokenizer, pooling_of(folder), context, device),
        count=lambda text: len(tokenizer(text, verbose=False).input_ids),
        context=context,
    )


def _runner(model: Any, tokenizer: Any, pooling: str, context: int, device: str) -> Any:
    import torch

    model = model.eval().requires_grad_(False).to(device)

    def run(texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=context, return_tensors="pt")
        tokens = tokens.to(device)
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state.float()
            if pooling == "cls":
                vectors = states[:, 0]
            else:
                mask = tokens["attention_mask"][..., None].float()
                vectors = (states * mask).sum(dim=1) / mask.sum(dim=1)
            result: NDArray[np.float32] = vectors.cpu().numpy()
            return result

    return run


def _read(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EmbedkitError(f"cannot read {path}: {error}") from error
    return table
