"""Text towers of open_clip, ending after the projection into the space shared with images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedkit.encoders import checkpoint
from embedkit.encoders.card import OPEN_CLIP_FILES, EncoderCard
from embedkit.encoders.fit import Misfit, load_strictly, seems
from embedkit.encoders.text_encoder import TextEncoder
from embedkit.encoders.text_keys import TEXT_RENAMINGS
from embedkit.errors import EmbedkitError

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "text."
# Where a CLIP has no text tower of its own, these stand beside its image tower.
OWN = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
SCALE, BIAS = "logit_scale", "logit_bias"
MENDS = (
    "a text tower of transformers needs that library (pip install 'embedkit[text]'), and its configuration and "
    "tokenizer from the hub or from the hub's cache on this machine"
)


def load(card: EncoderCard, path: Path, device: str) -> TextEncoder:
    """Return the text tower of an open_clip checkpoint; its image tower is not built.

    Raises:
        EmbedkitError: the file cannot be read safely, has no text tower or another one, or a tokenizer is not here.
    """
    config = configuration(card)
    state = checkpoint.load(path)
    if card.keys:
        state = TEXT_RENAMINGS[card.keys](state)
    try:
        tower, tokenizer = text_tower(config), _tokenizer(card, config["text_cfg"])
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise EmbedkitError(f"the text tower of {card.name} can't be built ({reason}): {MENDS}") from error
    load_strictly(tower, _body(tower, state, card, path), card.name, path)
    return TextEncoder(
        run=_runner(tower, tokenizer, device),
        count=_counter(tokenizer),
        context=tokenizer.context_length,
        logit_scale=float(state[SCALE].exp()),
        logit_bias=float(state[BIAS]) if BIAS in state else 0.0,
    )


def configuration(card: EncoderCard) -> dict[str, Any]:
    """Return ``embed_dim``, ``quick_gelu`` and ``text_cfg`` of a card, as open_clip writes them.

    Raises:
        EmbedkitError: the text tower of this model is not known.
    """
    import open_clip

    if card.text is not None and card.vision is not None:
        shared = {name: card.vision[name] for name in ("embed_dim", "quick_gelu") if name in card.vision}
        return {**shared, "text_cfg": dict(card.text)}
    if card.vision is not None:
        raise EmbedkitError(
            f"the text tower of {card.name} is not one that embedkit can build: name another model with a text tower, "
            "or align its images with a sentence encoder"
        )
    found: dict[str, Any] = open_clip.get_model_config(card.architecture)
    return found


def text_tower(config: Mapping[str, Any]) -> "nn.Module":
    """Return a text tower with random weights.

    Args:
        config: ``embed_dim``, ``text_cfg`` and perhaps ``quick_gelu``.
    """
    from open_clip.model import _build_text_tower

    text = {**config["text_cfg"]}
    if text.get("hf_model_name"):
        # Its weights are in the checkpoint: a second download would be for nothing.
        text["hf_model_pretrained"] = False
    tower: nn.Module = _build_text_tower(config["embed_dim"], text, config.get("quick_gelu", False))
    return tower


def _body(tower: "nn.Module", state: "dict[str, Tensor]", card: EncoderCard, path: Path) -> "dict[str, Tensor]":
    if any(name.startswith(PREFIX) for name in state):
        body = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        # Older transformers saved the numbers 0, 1, 2, … too.
        wanted = tower.state_dict()
        body = {name: value for name, value in body.items() if name in wanted or not name.endswith("position_ids")}
    else:
        body = {name: value for name, value in state.items() if name.startswith(OWN)}
    if not body or SCALE not in state:
        what = "no text tower of open_clip" if not body else f"no {SCALE}"
        raise Misfit(f"the file {path} does not fit the text tower of {card.name}: it has {what}. {seems(state)}")
    return body


def _tokenizer(card: EncoderCard, text: Mapping[str, Any]) -> Any:
    import open_clip

    if card.text is None:
        return open_clip.get_tokenizer(card.architecture)
    length, options = text.get("context_length", 77), dict(text.get("tokenizer_kwargs") or {})
    if not text.get("hf_tokenizer_name"):
        return open_clip.SimpleTokenizer(context_length=length, **options)
    # A folder that open_clip saved has the files of its tokenizer too.
    local = card.path is not None and card.path.name in OPEN_CLIP_FILES
    source = str(card.path.parent) if local and card.path else text["hf_tokenizer_name"]
    mode = text.get("tokenizer_mode")
    return open_clip.tokenizer.HFTokenizer(source, context_length=length, tokenizer_mode=mode, **options)


def _counter(tokenizer: Any) -> Any:
    """Return what counts the tokens of a text before any is cut."""
    if hasattr(tokenizer, "tokenizer"):
        return lambda text: len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    return lambda text: len(tokenizer.encode(text)) + 2


def _runner(tower: "nn.Module", tokenizer: Any, device: str) -> Any:
    import torch

    tower = tower.eval().requires_grad_(False).to(device)

    def run(texts: Sequence[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = tower(tokenizer(list(texts)).to(device))
            # A CoCa tower gives its tokens too, after the pooled vector.
            vectors = output[0] if isinstance(output, tuple) else output
            result: NDArray[np.float32] = vectors.float().cpu().numpy()
            return result

    return run
