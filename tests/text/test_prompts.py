"""Prompt sets: what is shipped is whole, a user's own file is read or refused with a sentence."""

import json
from pathlib import Path

import pytest

from embedkit import datasets
from embedkit.errors import EmbedkitError
from embedkit.text import choose_prompts, shipped
from embedkit.text.prompts import PromptSet, fill, plain

# Numbers that are not in the catalog but in the files: what the published labels of these targets are.
KNOWN = {
    "ham10000": ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"],
    "isic2019": ["mel", "nv", "bcc", "ak", "bkl", "df", "vasc", "scc"],
    "pad-ufes-20": ["ACK", "BCC", "MEL", "NEV", "SCC", "SEK"],
    "ph2": ["common nevus", "atypical nevus", "melanoma"],
    "chest-xray": ["NORMAL", "PNEUMONIA"],
    "aptos2019": ["0", "1", "2", "3", "4"],
    "hei-med": ["0", "1"],
    "mini-mias": ["D", "F", "G"],
    "busi": ["benign", "malignant", "normal"],
    "brain-tumor-mri": ["glioma", "meningioma", "notumor", "pituitary"],
    "brain-clients": ["glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor"],
    "lc25000": ["colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"],
}
OTHER_TARGETS = {
    ("mini-mias", "abnormality"): ["NORM", "CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM"],
    ("mini-mias", "abnormal"): ["normal", "abnormal"],
    ("mini-mias", "severity"): ["B", "M"],
    ("chest-xray", "subtype"): ["normal", "bacteria", "virus"],
    ("hei-med", "microaneurysm"): ["0", "1"],
    ("idrid", "edema"): ["0", "1", "2"],
}


def _asked() -> list[tuple[str, str, list[str]]]:
    cards = datasets.catalog()
    asked = [(name, next(iter(cards[name].targets)), labels) for name, labels in KNOWN.items()]
    asked += [(name, target, labels) for (name, target), labels in OTHER_TARGETS.items()]
    modalities = {modality for one in shipped().values() for modality in one.modalities}
    for name, card in cards.items():
        if card.modality in modalities and card.classes:
            asked.append((name, "label", list(card.classes)))
        if card.modality in modalities and name != "stare":
            asked += [(name, target, list(columns)) for target, columns in card.targets.items() if len(columns) > 1]
    return asked


@pytest.mark.parametrize(("name", "target", "labels"), _asked(), ids=lambda value: str(value)[:30])
def test_the_catalogs_classes_have_words_of_their_own(name: str, target: str, labels: list[str]) -> None:
    prompts = choose_prompts(None, datasets.catalog()[name].modality)
    words = prompts.words(labels, target)
    for template in prompts.usable(words):
        texts = [fill(template, each.name, each.description) for each in words]
        assert len(set(texts)) == len(labels)
        assert not any("{" in text for text in texts)


def test_every_modality_that_is_asked_for_has_templates_and_descriptions() -> None:
    wanted = {"fundus", "mammography", "dermoscopy", "chest-x-ray", "brain-mri", "liver-ct", "ultrasound", "histology"}
    assert set(shipped()) == wanted
    for prompts in shipped().values():
        assert len(prompts.templates) >= 5
        assert any(each.description for rows in prompts.classes.values() for each in rows.values())
    known = {card.modality for card in datasets.catalog().values()}
    assert all(set(prompts.modalities) <= known for prompts in shipped().values())


def _write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_file_of_ones_own_in_both_formats(tmp_path: Path) -> None:
    toml = choose_prompts(
        _write(tmp_path, 'templates = ["an image of {}."]\n[classes]\nA = "apples"\n[targets.other]\nA = "ants"\n')
    )
    table = {
        "templates": ["an image of {}."],
        "classes": {"A": {"name": "apples"}},
        "targets": {"other": {"A": "ants"}},
    }
    same = choose_prompts(_write(tmp_path, json.dumps(table), "mine.json"))
    assert toml.classes == same.classes
    assert [each.name for each in toml.words(["a"])] == ["apples"]
    assert [each.name for each in toml.words(["A"], "other")] == ["ants"]


def test_a_template_with_a_description_is_used_where_all_classes_have_one() -> None:
    rows = {"a": {"name": "A", "description": "round"}, "b": "B"}
    prompts = PromptSet.from_table({"templates": ["{}.", "{}: {description}."], "classes": rows}, "mine")
    assert prompts.usable(prompts.words(["a"])) == ("{}.", "{}: {description}.")
    assert prompts.usable(prompts.words(["a", "b"])) == ("{}.",)
    assert prompts.usable(prompts.words(["a"]), negative=True) == ("{}.",)
    only = PromptSet.from_table({"templates": ["{description}"], "classes": rows}, "mine")
    with pytest.raises(EmbedkitError, match=r"needs a \{description\}, and 'B' have none"):
        only.usable(only.words(["a", "b"]))


def test_an_absent_label_loses_its_article() -> None:
    prompts = PromptSet.from_table(
        {"templates": ["{}"], "classes": {"a": "a lung mass", "b": {"name": "B", "absent": "C"}}}, "mine"
    )
    assert [each.negative for each in prompts.words(["a", "b"])] == ["no lung mass", "C"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates = [", "cannot read the prompts"),
        ("[classes]\na = 'x'", "has no templates"),
        ("templates = ['a photo']", "the same text for all classes"),
        ("templates = ['a {colour} {}']", r"has \{colour\}: only"),
        ("templates = ['{}']\n[classes]\na = ''", "the class 'a' of .* has no text"),
        ("templates = ['{}']\n[classes]\na = {name = 'x', descripton = 'y'}", "Did you mean description"),
        ("templates = ['{}']\nclass = 3", "unknown field 'class'"),
        ("templates = ['{}']\nclasses = 3", "must be a table"),
        ("templates = ['{}']\n[classes]\nA = 'x'\na = 'y'", "the class 'a' stands twice"),
        ("templates = ['{}']\n[classes]\na = {name = 'x', also = [3]}", "something other than text"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EmbedkitError, match=said):
        choose_prompts(_write(tmp_path, text))


def test_a_class_that_the_file_does_not_have_is_named(tmp_path: Path) -> None:
    prompts = choose_prompts(_write(tmp_path, "templates = ['{}']\n[classes]\nmel = 'melanoma'"))
    with pytest.raises(EmbedkitError, match=r"say nothing of 'nv', 'bcc', classes of the target 'dx'.*--prompts"):
        prompts.words(["mel", "nv", "bcc"], "dx")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match="cannot read the prompts"):
        choose_prompts(tmp_path / "absent.toml")
    with pytest.raises(EmbedkitError, match="Did you mean dermoscopy"):
        choose_prompts("dermoscop")
    with pytest.raises(EmbedkitError, match="modality is not known: give --prompts"):
        choose_prompts(None)


def test_labels_are_looked_up_without_their_dress() -> None:
    assert plain("Pleural_Thickening") == plain("pleural thickening") == "pleural thickening"
    assert plain("Edema (u=1)") == "edema"
