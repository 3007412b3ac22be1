"""``embedkit probe`` and ``embedkit show``: the table, the JSON, and the table again."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, write_images


def test_probe_extracts_what_is_missing_and_reports(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--classifier", "logistic",
                    "--classifier", "svm-linear", "--json")  # fmt: skip
    assert done.status == 0
    names = [(result["classifier"], result["n_train"], result["n_groups"]) for result in done.results]
    assert names == [("logistic", 32, 16), ("svm-linear", 32, 16)]
    for result in done.results:
        assert result["auc"]["low"] <= result["auc"]["value"] <= result["auc"]["high"]
        assert result["auc"]["value"] > 0.8
        assert result["protocol"]["group"] == "group"
        assert {
            "data",
            "test",
            "model",
            "key",
            "target",
            "per_class",
            "selected",
            "leakage",
            "baselines",
            "cost",
        } <= set(result)


def test_the_table_can_be_printed_again_from_the_saved_result(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}")
    table, _, saved = done.out.partition("saved: ")
    again = embedkit("show", saved.strip())
    assert again.status == 0
    assert again.out.strip() == table.strip()
    shown = embedkit("show", saved.strip(), "--json").results
    assert shown[0]["auc"] == json.loads(Path(saved.strip()).read_text())["auc"]


def test_probe_on_another_set(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    write_images(place / "unseen", {"red": (150, 90, 90), "green": (90, 150, 90)}, patients=3)
    done = embedkit(
        "probe", "--model", tiny_model, "--data", f"folder:{images}", "--test", f"folder:{place / 'unseen'}", "--json"
    )
    [result] = done.results
    assert (result["n_train"], result["n_test"]) == (32, 12)
    assert result["test"].startswith("folder-unseen")


def test_probe_works_from_the_cache_when_the_images_are_gone(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    before = embedkit(*words).results[0]
    images.rename(place / "elsewhere")
    done = embedkit(*words)
    assert "cached embeddings are taken as they are" in done.err
    assert done.results[0]["auc"] == before["auc"]


def test_failed_images_do_not_vanish_from_the_probe(embedkit: Run, tiny_model: str, images: Path) -> None:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--json")
    assert done.status == 1
    assert done.results[0]["n_train"] == 32
    assert "broken.png" in done.err
    assert "1 images of" in done.results[0]["notes"][0]
    assert "broken.png" in done.results[0]["notes"][0]
    assert embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--allow-failed", 1).status == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_command_gives_the_same_numbers(embedkit: Run, tiny_model: str, images: Path, seed: int) -> None:
    words = ("probe", "--model", tiny_model, "--data", f"folder:{images}", "--seed", seed, "--json")
    one, two = embedkit(*words).results[0], embedkit(*words).results[0]
    for result in (one, two):
        del result["cost"]
    assert one == two


def test_several_heads_stand_sorted_beside_the_best(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    words = ["probe", "--model", tiny_model, "--data", f"folder:{images}", "--replicates", 100]
    words += [word for head in ("centroid", "logistic", "lda") for word in ("--classifier", head)]
    files = ("t.csv", "t.md", "t.tex")
    done = embedkit(*words, *(word for file in files for word in ("--table", file)), "--figures", "figures")
    assert done.status == 0, done.err
    assert "to the best" in done.out
    assert done.out.count(" best ") >= 1
    rows = list(csv.DictReader((place / "t.csv").open()))
    aucs = [float(row["AUC (95 %)"].split()[0]) for row in rows]
    assert aucs == sorted(aucs, reverse=True)
    assert {row["classifier"] for row in rows} == {"centroid", "logistic", "lda"}
    assert (place / "t.md").read_text().count("\n") == 5
    assert "\\toprule" in (place / "t.tex").read_text()
    drawn = {path.name.split(".", 1)[1] for path in (place / "figures").iterdir()}
    assert {"label.roc.png", "label.reliability.png"} <= drawn
    assert any(name.endswith("decision.png") for name in drawn)

    results = embedkit(*words, "--json").results
    assert [result["comparison"]["best"] for result in results] == [True, False, False]
    assert results[1]["comparison"]["difference"]["value"] <= 0
    assert embedkit(*words).err.count("done before") == 3
    assert embedkit(*words, "--again").err.count("done before") == 0


def test_levels_subgroups_sites_and_a_learning_curve(embedkit: Run, tiny_model: str, images: Path, place: Path) -> None:
    rows = ["path,label,group,sex,clinic"]
    for number, path in enumerate(sorted(images.rglob("*.png"))):
        label, patient = path.parts[-3], path.parts[-2]
        rows.append(f"{path},{label},{patient},{'fm'[number % 2]},{'xy'[sum(map(ord, patient)) % 2]}")
    (place / "t.csv").write_text("\n".join(rows))
    words = ("probe", "--model", tiny_model, "--data", f"csv:{place / 't.csv'}", "--replicates", 100, "--folds", 3)
    done = embedkit(*words, "--level", "image", "--level", "group", "--by", "sex", "--shots", "1,2", "--json")
    assert done.status == 0, done.err
    assert sorted((result["level"], result["n_test"]) for result in done.results) == [("group", 16), ("image", 32)]
    # Both judge the same fits.
    assert len({result["cost"]["wall_seconds"] for result in done.results}) == 1
    per_image = next(result for result in done.results if result["level"] == "image")
    assert [(row["by"], row["value"], row["n"]) for row in per_image["subgroups"]] == [
        ("sex", "f", 16),
        ("sex", "m", 16),
    ]
    assert "too small to be judged" in per_image["subgroups"][0]["note"]
    assert [point["amount"] for point in per_image["learning_curve"]["points"]] == [1, 2]
    held_out = embedkit(*words, "--sites", "clinic")
    assert "Subgroups" in held_out.out
    assert embedkit(*words, "--sites", "clinic", "--json").results[0]["protocol"]["split"] == "sites"
    printed = embedkit(*words, "--shots", "1,2").out
    assert "Learning curve" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shots", "a,b"), "--shots a,b is no list of numbers: write it like 1,2,4"),
        (("--fractions", "0"), "each is a percentage above 0"),
        (("--shots", "99"), "99 shots are more than there are training images"),
        (("--by", "sexx"), "unknown column 'sexx'"),
        (("--level", "eye"), "unknown column 'eye'"),
        (("--sites", "label"), "no 'label' has images of two classes"),
        (("--split", "test"), "unknown split 'test'"),
        (("--pool", "embeddings"), "--pool is of the images of a level: name a --level, or leave it out"),
        (("--draws", 3), "ask for one by --fractions or --shots"),
        (("--permutations", 100), "name several by --model or --classifier"),
        (("--class-weight", "balanced", "--classifier", "centroid"), "changes no centroid: name another classifier"),
        (("--class-weight", "heavy"), "unknown class_weight 'heavy'"),
        (("--specificity", "90"), "specificity = 90.0 is no proportion"),
        (("--table", "t.xlsx"), "no table as '.xlsx'"),
        (("--classifier", "svm"), "unknown classifier 'svm'"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    embedkit: Run, tiny_model: str, images: Path, words: tuple[str, ...], message: str
) -> None:
    done = embedkit("probe", "--model", tiny_model, "--data", f"folder:{images}", "--replicates", 100, *words)
    assert done.status == 2
    assert message in done.err
