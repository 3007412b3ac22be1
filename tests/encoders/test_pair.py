"""The saved pair: what it computes, that it comes back as it was, and that a damaged one is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from embedkit.cache import EmbeddingSet, cache_key
from embedkit.encoders import AlignedPair, resolve, space
from embedkit.encoders.pair import ARRAYS, FACTS, OF_IMAGES
from embedkit.errors import EmbedkitError

RNG = np.random.default_rng(0)


def a_pair() -> AlignedPair:
    facts = dict.fromkeys(FACTS, "x") | {"classes": ["a", "b", "c"], "class_texts": {}, "space": "words"}
    shapes = {"mean": 5, "projection": (2, 5), "bias": 2, "basis": (2, 7), "texts": (3, 7), "scale": 1}
    arrays = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["basis"] = np.linalg.qr(arrays["basis"].T)[0].T.astype(np.float32)
    return AlignedPair(**arrays, facts=facts)


def test_it_computes_its_formula() -> None:
    pair, x = a_pair(), RNG.normal(size=5)
    centred = x / np.linalg.norm(x) - pair.mean
    turned = pair.projection @ (centred / np.linalg.norm(centred)) + pair.bias
    expected = turned / np.linalg.norm(turned) @ pair.basis
    assert np.allclose(pair.embed(x[None])[0], expected, atol=1e-6)
    assert np.allclose(pair.logits(x[None])[0], pair.scale * expected @ pair.texts.T, atol=1e-5)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    pair = a_pair()
    pair.save(tmp_path / "new" / "pair.safetensors")
    again = AlignedPair.load(tmp_path / "new" / "pair.safetensors")
    assert again.facts == pair.facts
    assert all(np.array_equal(getattr(again, name), getattr(pair, name)) for name in ARRAYS)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pair.safetensors"]


def test_a_set_is_taken_into_the_space_of_the_texts() -> None:
    pair = a_pair()
    images = EmbeddingSet.from_arrays(RNG.normal(size=(4, 5)), [0, 1, 0, 1])
    with pytest.raises(EmbedkitError, match=r"the spaces differ: the pair was aligned with x \(key x\)"):
        pair.apply(images)
    fitting = EmbeddingSet(images.X, images.table, {**images.provenance, "key": "x"})
    found = pair.apply(fitting)
    assert np.allclose(np.linalg.norm(found.X, axis=1), 1, atol=1e-6)
    assert (found.encoder, found.key, found.provenance["space"]) == ("aligned-x-x", "x", "words")
    assert found.table is fitting.table


def test_the_key_is_of_what_changes_the_vector_of_an_image() -> None:
    pair, images = a_pair(), {"encoder": {"backend": "timm", "weights": "1", "precision": "fp32"}, "focus": None}
    key = cache_key(pair.configuration(images))
    other = {name: getattr(pair, name) + np.float32(0.1) for name in ARRAYS}
    same = [replace(pair, texts=other["texts"], scale=other["scale"]), replace(pair, facts=pair.facts | {"data": "y"})]
    assert {cache_key(one.configuration(images)) for one in same} == {key}
    changed = [replace(pair, **{name: other[name]}) for name in OF_IMAGES]
    keys = {cache_key(one.configuration(images)) for one in changed}
    keys |= {cache_key(pair.configuration({**images, "encoder": images["encoder"] | {"weights": "2"}}))}
    assert len(keys | {key}) == len(OF_IMAGES) + 2
    assert space(pair.configuration(images)["encoder"]) == "words"


def test_what_it_is_called() -> None:
    pair = a_pair()
    for text, name in (("minilm", "minilm"), ("hf:/a/b c", "b-c"), ("hf:OWNER/NAME", "NAME"), ("open_clip:f/", "f")):
        told = pair.facts | {"image_encoder": "resnet50-v1", "text_encoder": text}
        assert replace(pair, facts=told).name == f"aligned-resnet50-v1-{name}"


def test_vectors_of_plain_arrays_name_no_encoder(tmp_path: Path) -> None:
    pair = a_pair()
    replace(pair, facts=pair.facts | {"image_key": ""}).save(tmp_path / "pair")
    with pytest.raises(EmbedkitError, match=r"came from plain arrays.*ek\.load_aligned"):
        resolve(f"aligned:{tmp_path / 'pair'}")


def test_a_file_that_is_no_whole_pair_is_refused(tmp_path: Path) -> None:
    path, pair = tmp_path / "pair.safetensors", a_pair()
    with pytest.raises(EmbedkitError, match="there is no aligned pair"):
        AlignedPair.load(path)
    pair.save(path)
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(EmbedkitError, match="is not a saved aligned pair"):
            AlignedPair.load(path)

    good = {name: getattr(pair, name) for name in ARRAYS}
    told = {"kind": "aligned pair", "format": 1, "facts": pair.facts}
    lies: list[tuple[dict[str, np.ndarray], object, str]] = [
        (good, None, "did not write it"),
        (good, [], "did not write it"),
        (good, {**told, "format": 9}, "the format 9, and this version reads 1"),
        (good, {**told, "facts": {}}, "lacks 'key'"),
        (good, {**told, "facts": pair.facts | {"classes": ["a"]}}, "not as many as its texts"),
        ({name: good[name] for name in ARRAYS if name != "bias"}, told, "its arrays are not"),
        ({**good, "mean": np.zeros(4, np.float32)}, told, "don't fit together"),
        ({**good, "bias": np.full(2, np.nan, np.float32)}, told, "something that is no number"),
    ]
    save_file(good, path)
    with pytest.raises(EmbedkitError, match="did not write it"):
        AlignedPair.load(path)
    for arrays, value, why in lies:
        save_file(arrays, path, {"embedkit": json.dumps(value)})
        with pytest.raises(EmbedkitError, match=why):
            AlignedPair.load(path)
