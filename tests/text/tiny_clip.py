"""A small real CLIP: the real ViT-Ti/16 is locked, a tiny text tower and a projection learn captions made of labels.

LiT (Zhai et al. 2022, arXiv:2111.07991) on embeddings that are computed once. Run as a script, it trains on all that is
given and prints where the checkpoint is: ``python -m tests.text.tiny_clip FOLDER``.
"""

import hashlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

import embedkit as ek
from embedkit import datasets

SEED = 0
# Images per class of HAM10000 (7 classes) and of the chest X-rays (2); more would make a better CLIP and a slower test.
TRAIN, HELD_OUT = {"skin": 24, "chest": 30}, {"skin": 8, "chest": 16}
STEPS, BATCH, RATE = 200, 64, 2e-3
MODEL = {
    "embed_dim": 192,
    "quick_gelu": True,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 224,
        "timm_model_name": "vit_tiny_patch16_224",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "linear",
    },
    "text_cfg": {"context_length": 28, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
PREPROCESSING = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
SKIN = {
    "akiec": "actinic keratosis",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "a melanocytic nevus",
    "vasc": "a vascular lesion",
}
CHEST = {"normal": "a normal chest", "bacteria": "bacterial pneumonia", "virus": "viral pneumonia"}


@dataclass(frozen=True)
class TinyClip:
    """Where the checkpoint is, and the CSV files of the images that it has not seen."""

    folder: Path
    skin: Path
    chest: Path

    @property
    def spec(self) -> str:
        """The name that embedkit takes."""
        return f"open_clip:{self.folder}"


def tiny_clip(place: Path, data: Path, weights: Path) -> TinyClip:
    """Return the CLIP that was trained under ``place``, or train it there: half a minute on two cores."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + str((data, weights)).encode()).hexdigest()[:12]
    folder = place / f"tiny-clip-{digest}"
    place.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    with FileLock(place / f"{folder.name}.lock"):
        if not (folder / "done").exists():
            # Threads of tests that run beside it would wait for each other.
            torch.set_num_threads(1)
            _train(folder, data, weights)
            torch.set_num_threads(threads)
            (folder / "done").touch()
    return TinyClip(folder / "clip", folder / "skin.csv", folder / "chest.csv")


def _train(folder: Path, data: Path, weights: Path) -> None:
    learnt, skin, chest = _images(data)
    locked = folder / "locked"
    state = _locked(weights)
    _save(locked, state)
    for name, table in (("train", learnt), ("skin", skin), ("chest", chest)):
        table.to_csv(folder / f"{name}.csv", index=False)
    # The projection of the locked tower changes nothing, so that these are the embeddings of the ViT itself.
    seen = f"csv:{folder / 'train.csv'}"
    images = ek.extract(f"open_clip:{locked}", seen, root=data, cache=folder / "cache", precision="fp32", workers=0)
    features = torch.from_numpy(images.X)
    text, projection, scale = _learn(features, images.table["caption"].tolist())
    state |= {f"text.{name}": value for name, value in text.items()}
    state |= {"visual.head.proj.weight": projection, "logit_scale": scale}
    _save(folder / "clip", state)


def _images(data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the images that are learnt from, with captions, and the held-out skin and chest images."""
    rng = np.random.default_rng(SEED)
    skin = datasets.open_dataset("ham10000", data)
    table = skin.table.assign(path=_relative(skin, data))
    table["caption"] = [
        f"a dermatoscopic image of {SKIN[row.label]} on the {row.localization} of a {row.sex} aged {row.age:.0f}."
        for row in table.itertuples()
    ]
    chest = datasets.open_dataset("chest-xray", data)
    rays = chest.table.assign(path=_relative(chest, data))
    rays["caption"] = [f"a chest X-ray of {CHEST[row.subtype]}." for row in rays.itertuples()]
    drawn = _draw(table, TRAIN["skin"] + HELD_OUT["skin"], rng)
    held = drawn.groupby("label").head(HELD_OUT["skin"])
    learnt = pd.concat([drawn.drop(held.index), _draw(rays[rays["split"] == "train"], TRAIN["chest"], rng)])
    unseen = _draw(rays[rays["split"] == "test"], HELD_OUT["chest"], rng)
    columns = ["path", "label", "group"]
    return learnt[["path", "label", "caption"]], held[columns], unseen[columns]


def _relative(images: datasets.ImageSet, data: Path) -> list[str]:
    return [os.path.relpath(address, data) for address in images.addresses()]


def _draw(table: pd.DataFrame, each: int, rng: np.random.Generator) -> pd.DataFrame:
    return table.iloc[rng.permutation(len(table))].groupby("label").head(each)


def _locked(weights: Path) -> dict[str, torch.Tensor]:
    trunk = load_file(weights / "vit-ti16.safetensors")
    state = {f"visual.trunk.{name}": value.float() for name, value in trunk.items() if not name.startswith("head.")}
    return {**state, "visual.head.proj.weight": torch.eye(192), "logit_scale": torch.tensor(np.log(1 / 0.07))}


def _learn(features: torch.Tensor, captions: list[str]) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return the text tower, the projection and the logit scale after contrastive training; equal captions match."""
    import open_clip

    from embedkit.encoders.backends.open_clip_text import text_tower

    torch.manual_seed(SEED)
    tower = text_tower(MODEL).train()
    vocabulary = tower.token_embedding.weight.detach()
    projection = torch.nn.Linear(192, 192, bias=False)
    scale = torch.nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
    tokens = open_clip.SimpleTokenizer(context_length=MODEL["text_cfg"]["context_length"])(captions)
    # Only the words that occur are learnt: in their order, so that the end of the text stays the highest number.
    used, tokens = torch.unique(tokens, return_inverse=True)
    tower.token_embedding = torch.nn.Embedding.from_pretrained(vocabulary[used], freeze=False)
    optimiser = torch.optim.AdamW([*tower.parameters(), *projection.parameters(), scale], RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    generator = torch.Generator().manual_seed(SEED)
    features = torch.nn.functional.normalize(features, dim=1)
    for _ in range(STEPS):
        rows = torch.randperm(len(features), generator=generator)[:BATCH]
        image = torch.nn.functional.normalize(projection(features[rows]), dim=1)
        text = torch.nn.functional.normalize(tower(tokens[rows]), dim=1)
        logits = scale.exp().clamp(max=100) * image @ text.T
        same = (tokens[rows][:, None] == tokens[rows][None]).all(dim=2).float()
        wanted = same / same.sum(dim=1, keepdim=True)
        loss = sum(torch.nn.functional.cross_entropy(one, wanted) for one in (logits, logits.T))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    vocabulary[used] = tower.token_embedding.weight.detach()
    text = {name: value.detach().contiguous() for name, value in tower.state_dict().items()}
    return {**text, "token_embedding.weight": vocabulary}, projection.weight.detach().contiguous(), scale.detach()


def _save(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Write a checkpoint and its configuration as open_clip does."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "open_clip_model.safetensors")
    config = {"model_cfg": MODEL, "preprocess_cfg": {**PREPROCESSING, "size": 224}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1))


def usual_place() -> Path:
    """Return the folder in which it is kept between runs, outside of any repository."""
    return Path(tempfile.gettempdir()) / "embedkit-tiny-clip"


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else usual_place()
    print(tiny_clip(root, Path(os.environ["EMBEDKIT_DATA"]), Path(os.environ["EMBEDKIT_WEIGHTS"])))
