"""A real CLIP on held-out images: better than chance, as open_clip called directly, and from the cache alone."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from scipy.special import softmax

import embedkit as ek
from embedkit import encoders
from embedkit.errors import EmbedkitError
from embedkit.probing import ProbeResult
from embedkit.text import shipped
from tests.text.tiny_clip import TinyClip

HOW = {"precision": "fp32", "replicates": 200, "workers": 0}


@pytest.fixture(scope="module")
def kept(clip: TinyClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of these tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def skin(clip: TinyClip, kept: Path, data_root: Path) -> ProbeResult:
    return ek.zero_shot(f"csv:{clip.skin}", model=clip.spec, prompts="dermoscopy", root=data_root, cache=kept, **HOW)


@pytest.fixture(scope="module")
def chest(clip: TinyClip, kept: Path, data_root: Path) -> ProbeResult:
    return ek.zero_shot(f"csv:{clip.chest}", model=clip.spec, prompts="chest-x-ray", root=data_root, cache=kept, **HOW)


def test_classes_of_unseen_images_are_told_apart_by_their_words(skin: ProbeResult, chest: ProbeResult) -> None:
    assert len(skin.classes) == 7
    assert skin.auc["low"] > 0.55
    assert skin.auc["value"] > 0.65
    assert skin.accuracy["low"] > 1 / 7
    assert chest.auc["low"] > 0.65
    assert chest.auc["value"] > 0.8


def test_wording_is_reported_per_template(skin: ProbeResult) -> None:
    rows, spread = skin.wording["templates"], skin.wording["spread"]["auc"]
    assert [row["template"] for row in rows] == list(shipped()["dermoscopy"].templates)
    assert spread["lowest"] < spread["highest"]
    # Descriptions are longer than the 28 tokens of this tower.
    assert skin.wording["cut"]
    assert any("28 tokens" in note for note in skin.notes)


def test_scores_are_those_of_open_clip_called_directly(clip: TinyClip, skin: ProbeResult, data_root: Path) -> None:
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{clip.folder}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{clip.folder}")
    prompts = shipped()["dermoscopy"]
    words = prompts.words(skin.classes)
    rows = skin.predictions.iloc[::9]
    with torch.inference_mode():
        W = []
        for each in words:
            texts = [t.replace("{description}", each.description).replace("{}", each.name) for t in prompts.templates]
            vectors = model.eval().encode_text(tokenize(texts), normalize=True)
            W.append(torch.nn.functional.normalize(vectors.mean(dim=0), dim=0))
        images = torch.stack([transform(Image.open(data_root / name)) for name in rows["id"]])
        logits = model.logit_scale.exp() * model.encode_image(images, normalize=True) @ torch.stack(W).T
    wanted = softmax(logits.numpy().astype(float), axis=1)
    found = np.exp(rows[[f"score_{label}" for label in skin.classes]].to_numpy(float))
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_nothing_is_read_or_embedded_twice(
    clip: TinyClip, kept: Path, data_root: Path, skin: ProbeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was built or an image read")

    monkeypatch.setattr("embedkit.encoders.load_encoder", refuse)
    monkeypatch.setattr("embedkit.extraction.run.decoded", refuse)
    monkeypatch.setattr("embedkit.encoders.backends.open_clip_text.load", refuse)
    how = {"model": clip.spec, "prompts": "dermoscopy", "root": data_root, "cache": kept, **HOW}
    again = ek.zero_shot(f"csv:{clip.skin}", **how)
    assert again.auc == skin.auc
    assert again.wording == skin.wording


def test_embeddings_in_hand_are_judged_too(clip: TinyClip, kept: Path, skin: ProbeResult) -> None:
    images = ek.load(clip.spec, f"csv:{clip.skin}", cache=kept, precision="fp32")
    result = ek.zero_shot(images, model=clip.spec, prompts="dermoscopy", cache=kept, replicates=200)
    assert result.auc == skin.auc
    with pytest.raises(EmbedkitError, match="prompts for images whose modality is not known"):
        ek.zero_shot(images, model=clip.spec, cache=kept)


def test_towers_of_two_checkpoints_are_refused_before_any_image_is_read(
    clip: TinyClip, data_root: Path, tmp_path: Path
) -> None:
    locked = f"open_clip:{clip.folder.parent / 'locked'}"
    for text_encoder in (locked, "vit-ti16"):
        with pytest.raises(EmbedkitError, match=r"the spaces differ|has no text tower"):
            ek.zero_shot(
                f"csv:{clip.skin}", model=clip.spec, text_encoder=text_encoder, root=data_root, cache=tmp_path / "none"
            )
    assert not (tmp_path / "none").exists()


def test_a_plain_image_encoder_and_a_clips_texts_are_refused(
    clip: TinyClip, data_root: Path, weights_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(EmbedkitError, match="the spaces differ: vit-ti16 and"):
        ek.zero_shot(
            f"csv:{clip.skin}",
            model="vit-ti16",
            text_encoder=clip.spec,
            weights=weights_root,
            root=data_root,
            cache=tmp_path,
        )


def test_a_wrong_prompt_file_is_refused_before_any_image_is_read(
    clip: TinyClip, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(EmbedkitError, match="cannot read the prompts"):
        ek.zero_shot(
            f"csv:{clip.skin}", model=clip.spec, prompts="absent.toml", root=data_root, cache=tmp_path / "none"
        )
    assert not (tmp_path / "none").exists()


def test_quick_gelu_is_what_the_configuration_says(clip: TinyClip) -> None:
    assert encoders.text_tower(clip.spec).space.endswith(":quick")
