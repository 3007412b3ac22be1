import re

import pytest

from embedkit.datasets import DatasetCard, catalog
from embedkit.datasets.catalog import canonical
from embedkit.datasets.description import parse
from embedkit.datasets.layouts import LAYOUTS

MEDMNIST = [
    *("pathmnist", "chestmnist", "dermamnist", "octmnist", "pneumoniamnist", "retinamnist"),
    *("breastmnist", "bloodmnist", "tissuemnist", "organamnist", "organcmnist", "organsmnist"),
]
ALL = list(catalog().values())


BY_MODALITY = {
    "dermatoscopy": "ham10000 isic2018 isic2018-task3 isic2019 ph2",
    "clinical skin photography": "pad-ufes-20",
    "fundus photography": "hei-med aptos2019 odir-5k odir-5k-eyes idrid messidor2 eyepacs drive stare jsiec rfmid "
    "brset",
    "mammography": "mini-mias cbis-ddsm cbis-ddsm-cropped inbreast vindr-mammo",
    "breast ultrasound": "busi",
    "chest X-ray": "chest-xray nih-chestxray14 nih-chestxray14-70-10-20 chexpert mimic-cxr-jpg padchest vindr-cxr "
    "montgomery shenzhen covid-cohen covid19-317",
    "brain MRI": "brain-tumor-mri brain-clients",
    "histopathology": "lc25000",
    "liver CT": "multiphase-ct",
}
# Their publishers tell no number of images: they grow, or are a user's own.
UNCOUNTED = {"covid-cohen", "brain-clients", "multiphase-ct"}


def test_holds_the_named_sets_and_every_size_of_medmnist() -> None:
    sizes = {f"{name}{size}" for name in MEDMNIST for size in ("", "-64", "-128", "-224")}
    corrected = {f"dermamnist-{which}{size}" for which in "ce" for size in ("", "-224")}
    named = {name for names in BY_MODALITY.values() for name in names.split()}
    assert set(catalog()) == named | sizes | corrected
    for modality, names in BY_MODALITY.items():
        assert {catalog()[name].modality for name in names.split()} == {modality}


def described() -> list[DatasetCard]:
    return [card for card in ALL if card.layout == "described"]


@pytest.mark.parametrize("card", described(), ids=lambda card: card.name)
def test_every_description_can_be_followed(card: DatasetCard) -> None:
    description = parse(card.read)
    assert bool(description.tables) != bool(description.paths)
    assert not description.tables or description.image or description.views
    assert set(description.flags) <= set(card.targets)
    made = {column for target in description.flags for column in card.targets[target]}
    named = {name for path in description.paths for name in re.compile(path).groupindex}
    for columns in card.targets.values():
        assert set(columns) <= made | set(description.columns) | named
    assert not card.group or "group" in {*description.columns, *named} or description.pairs[0]


@pytest.mark.parametrize("read", [{"colour": "red"}, {"tables": [{"fiel": "a"}]}, {"columns": {"a": {"form": "b"}}}])
def test_a_word_that_is_none_of_the_vocabulary_is_refused(read: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is no part of"):
        parse(read)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(re.error):
        parse({"paths": ["(a"]})


@pytest.mark.parametrize("card", ALL, ids=lambda card: card.name)
def test_every_card_is_complete(card: DatasetCard) -> None:
    assert card.layout in LAYOUTS
    for value in (card.title, card.modality, card.licence, card.citation, card.get, card.resolution):
        assert value
    assert card.homepage.startswith(("https://", "http://"))
    assert card.marks
    assert bool(card.targets) == (card.name != "drive")
    assert all(columns for columns in card.targets.values())
    assert (sum(card.counts.values()) >= 40) == (card.name not in UNCOUNTED)
    assert set(card.counts) <= {"train", "val", "test", "all"}
    assert set(card.unconfirmed) <= {"counts", "licence"}


@pytest.mark.parametrize(
    "card",
    [card for card in ALL if card.layout == "medmnist" and "-c" not in card.name and "-e" not in card.name],
    ids=lambda card: card.name,
)
def test_every_medmnist_card_can_be_fetched(card: DatasetCard) -> None:
    base, _, size = card.name.partition("-")
    (file,) = card.files
    assert file.name == (f"{base}_{size}.npz" if size else f"{base}.npz")
    assert file.url == f"https://zenodo.org/records/10519652/files/{file.name}?download=1"
    assert re.fullmatch(r"[0-9a-f]{32}", file.md5)
    assert card.resolution == int(size or 28)
    assert not card.login
    assert len(card.classes or next(iter(card.targets.values()))) == len(set(card.classes or card.targets["finding"]))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("dermamnist-c", "dermamnist_corrected_28.npz"),
        ("dermamnist-c-224", "dermamnist_corrected_224.npz"),
        ("dermamnist-e", "dermamnist_extended_28.npz"),
        ("dermamnist-e-224", "dermamnist_extended_224.npz"),
    ],
)
def test_the_corrected_dermamnist_keeps_its_publishers_file_names(name: str, file: str) -> None:
    card = catalog()[name]
    assert (card.files[0].name, card.marks[0]) == (file, file)
    assert card.files[0].url == f"https://zenodo.org/records/12739457/files/{file}?download=1"
    assert card.classes == catalog()["dermamnist"].classes
    assert card.resolution == int(file.rsplit("_", maxsplit=1)[-1].removesuffix(".npz"))


def test_checksums_are_all_different() -> None:
    sums = [file.md5 for card in ALL for file in card.files]
    assert len(sums) == len(set(sums)) == 52


def test_medmnist_has_as_many_images_as_its_paper_says() -> None:
    # Yang et al. 2023, Table 2: 708,069 2D images. Release 3 dropped 20, 77 and 10 of the three organ sets.
    assert sum(sum(catalog()[name].counts.values()) for name in MEDMNIST) == 708_069 - 20 - 77 - 10


def test_facts_of_single_cards() -> None:
    assert catalog()["pneumoniamnist-224"].files[0].md5 == "d6a3c71de1b945ea11211b03746c1fe1"
    assert catalog()["pneumoniamnist"].files[0].md5 == "28209eda62fecd6e6a2d98b1501bb15f"
    assert catalog()["breastmnist"].classes == ("malignant", "normal, benign")
    assert catalog()["chestmnist-64"].targets["finding"][0] == "atelectasis"
    assert len(catalog()["chestmnist"].targets["finding"]) == 14
    assert catalog()["dermamnist-128"].licence == "CC BY-NC 4.0"
    assert "lesions" in catalog()["dermamnist"].notes[0]
    assert list(catalog()["mini-mias"].targets) == ["tissue", "abnormal", "abnormality", "severity"]


def test_related_sets_exist_and_know_each_other() -> None:
    for card in ALL:
        for other in card.related:
            assert card.name in catalog()[other].related
        assert card.name not in card.related
    assert {"chest-xray", "pneumoniamnist", "pneumoniamnist-224"} <= set(catalog()["pneumoniamnist-64"].related)
    assert "dermamnist-224" in catalog()["ham10000"].related
    assert "ham10000" not in catalog()["isic2018"].related


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("chest_xray", "chest-xray"),
        (" HAM10000 ", "ham10000"),
        ("pneumoniamnist_64", "pneumoniamnist-64"),
        ("pneumoniamnist-28", "pneumoniamnist"),
        ("PneumoniaMNIST_28", "pneumoniamnist"),
        ("pneumonia", None),
        ("", None),
    ],
)
def test_canonical_names(written: str, name: str | None) -> None:
    assert canonical(written) == name


def test_a_caller_cannot_spoil_the_catalog() -> None:
    catalog().clear()
    assert len(catalog()) == 91
