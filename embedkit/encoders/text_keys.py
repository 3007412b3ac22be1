"""How the names of published text towers become open_clip's; `embedkit.encoders.keys` does it for the image towers."""

from collections.abc import Callable

from embedkit.encoders.keys import CLIP_BLOCKS, QKV, Names, State, join, rename, starting

_CLIP: Names = (
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.(\d+)\.", r"transformer.resblocks.\1."),
    *CLIP_BLOCKS,
)


def _clip(state: State) -> State:
    """CLIP as transformers saves it: query, key and value in one tensor, the projection turned."""
    tower = starting(state, "text_model.")
    tower.pop("text_model.embeddings.position_ids", None)
    renamed = rename(join(tower, QKV), _CLIP)
    if renamed and "text_projection.weight" in state:
        renamed["text_projection"] = state["text_projection.weight"].T
    return renamed | {name: state[name] for name in ("logit_scale",) if name in state}


TEXT_RENAMINGS: dict[str, Callable[[State], State]] = {"transformers-clip": _clip}
