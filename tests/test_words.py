"""Which text tower is meant by what the user gives."""

from pathlib import Path

import pytest

import embedkit as ek
from embedkit import words
from embedkit.errors import EmbedkitError
from tests.encoders.test_text_towers import a_bert, a_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of weights: a CLIP, and a sentence encoder that stands in for MiniLM."""
    a_clip("plain", tmp_path / "clip")
    a_bert(tmp_path / "minilm")
    return tmp_path


def test_the_models_own_text_tower_is_meant_unless_another_is_named(folder: Path) -> None:
    spec = f"open_clip:{folder}/clip"
    assert words.tower_for(spec).name == words.tower_for(spec, spec).name == spec
    assert words.tower_for("resnet50-v1", "minilm", text_weights=folder).name == "minilm"


def test_weights_are_those_of_the_model(folder: Path) -> None:
    file = folder / "clip" / "open_clip_model.safetensors"
    tower = words.tower_for("clip-vit-b32", weights=file)
    assert tower.configuration["weights"] == words.tower_for(f"open_clip:{folder}/clip").configuration["weights"]
    # In a folder of many they have the model's name.
    file.rename(folder / "clip-vit-b32.safetensors")
    assert words.tower_for("clip-vit-b32", weights=folder).space == tower.space


def test_a_sentence_encoder_is_a_folder_or_in_one(folder: Path) -> None:
    itself = words.tower_for(None, "minilm", text_weights=folder / "minilm")
    assert itself.space == words.tower_for(None, "minilm", text_weights=folder).space
    assert itself.space == words.tower_for(None, f"hf:{folder}/minilm").space


def test_a_tower_must_be_named() -> None:
    with pytest.raises(EmbedkitError, match="which text tower"):
        words.tower_for(None)
    with pytest.raises(EmbedkitError, match="which encoder's embeddings of ham10000"):
        ek.zero_shot("ham10000", text_encoder="minilm")
