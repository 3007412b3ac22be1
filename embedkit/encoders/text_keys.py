"""How the names of published text towers become open_clip's; `embedkit.encoders.keys` does it for the image towers."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]

_CLIP = (
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.(\d+)\.", r"transformer.resblocks.\1."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.self_attn\.in_proj\.", ".attn.in_proj_"),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)
_QKV = ("q_proj", "k_proj", "v_proj")


def _clip(state: State) -> State:
    """CLIP as transformers saves it: query, key and value in one tensor, the projection turned."""
    import torch

    tower = {name: value for name, value in state.items() if name.startswith("text_model.")}
    tower.pop("text_model.embeddings.position_ids", None)
    for name in [name for name in tower if f".{_QKV[0]}." in name]:
        three = [tower.pop(name.replace(_QKV[0], part)) for part in _QKV]
        tower[name.replace(_QKV[0], "in_proj")] = torch.cat(three)
    renamed = {}
    for name, value in tower.items():
        for pattern, replacement in _CLIP:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        renamed[name] = value
    if renamed and "text_projection.weight" in state:
        renamed["text_projection"] = state["text_projection.weight"].T
    return renamed | {name: state[name] for name in ("logit_scale",) if name in state}


TEXT_RENAMINGS: dict[str, Callable[[State], State]] = {"transformers-clip": _clip}
