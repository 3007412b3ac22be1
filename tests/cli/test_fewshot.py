"""`embedkit fewshot` and `align`: a table, a figure, a pair that can be used again, a sentence for what is wrong."""

import json
from pathlib import Path

import pytest

import embedkit as ek
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_table_and_a_figure_without_texts(embedkit: Run, tiny_model: str, images: Path) -> None:
    words = ("fewshot", "-m", tiny_model, "-d", f"folder:{images}", "--folds", 2, "--shots", "1,2", "--replicates", 100)
    done = embedkit(*words, "--draws", 2, "--figures", "drawn")
    assert done.status == 0, done.err
    assert "linear-probe" in done.out
    assert "2 shots" in done.out
    assert Path(done.out.partition("saved: ")[2].splitlines()[0]).is_file()
    assert [path.suffix for path in Path("drawn").iterdir()] == [".png"]
    [result] = embedkit(*words, "--draws", 2, "--json").results
    assert {point["method"] for point in result["points"]} == {"linear-probe", "prototypes"}
    # What is done is read, and only where it is the same question; a file that can't be read is made anew.
    again = embedkit(*words, "--draws", 2, "--json")
    assert (again.results, "done before, read from" in again.err) == ([result], True)
    [file] = Path("results").rglob("*.few-shot.*.json")
    for more in (("--again",), ("--method", "prototypes"), ("--draws", 3), ("--seed", 1)):
        assert "done before" not in embedkit(*words, "--draws", 2, *more).err, more
    assert len(list(Path("results").rglob("*.few-shot.*.json"))) == 4
    whole = file.read_text()
    file.write_text(whole[:-20])
    assert embedkit(*words, "--draws", 2, "--json").results == [result]
    assert file.read_text() == whole
    assert all(point["auc"]["low"] <= point["auc"]["high"] for point in result["points"])

    for more, sentence in [
        (("--method", "lp++"), "give a text encoder too"),
        (("--shots", "99"), "99 shots are more than there are training images"),
        (("--shots", "one"), "--shots one is no list of numbers"),
        (("--shots", "none"), "give shots or fractions"),
        (("--aligned", "absent.safetensors"), "there is no aligned pair absent.safetensors"),
    ]:
        refused = embedkit(*words, *more)
        assert refused.status == 2
        assert sentence in refused.err


def test_an_aligned_pair_is_saved_and_used_again(
    embedkit: Run, tiny_model: str, images: Path, wording: Path, place: Path
) -> None:
    data = ("-d", f"folder:{images}", "--folds", 2, "--prompts", wording, "--replicates", 100)
    aligning = ("align", "--image-encoder", tiny_model, "--text-encoder", "words", *data)
    done = embedkit(*aligning, "--out", "pair.safetensors")
    assert done.status == 0, done.err
    assert "aligned" in done.out
    assert "saved: pair.safetensors" in done.out
    [again] = embedkit(*aligning, "--json").results
    assert Path(again["pair"]).read_bytes() == Path("pair.safetensors").read_bytes()
    assert 0.5 < again["auc"]["value"] <= 1

    pair = ek.load_aligned("pair.safetensors")
    embeddings = ek.load(tiny_model, f"folder:{images}")
    assert pair.facts["image_key"] == embeddings.key
    assert pair.apply(embeddings).X.shape == (len(embeddings), 8)

    shots = ("fewshot", "-m", tiny_model, *data, "--draws", 2, "--shots", 2, "--aligned", "pair.safetensors")
    [result] = embedkit(*shots, "--method", "text", "--method", "tip-adapter", "--json").results
    assert result["text_encoder"] == "words"
    assert result["protocol"]["projection"] is None, "the pair has one space"
    assert "aligned with all labels" in result["notes"][-1]

    other = embedkit(*shots, "--text-encoder", "other")
    assert (other.status, "the spaces differ" in other.err) == (2, True)
    held = embedkit(*aligning, "--hold-out", "red")
    assert (held.status, "fewer than two classes" in held.err) == (2, True)
    assert embedkit("show", *place.glob("results/*/*.aligned.*.json")).status == 0


def test_a_saved_table_is_shown_again_and_a_damaged_one_refused(
    embedkit: Run, tiny_model: str, images: Path, place: Path
) -> None:
    words = ("fewshot", "-m", tiny_model, "-d", f"folder:{images}", "--draws", 2, "--shots", 2, "--replicates", 100)
    done = embedkit(*words, "--method", "prototypes", "--method", "linear-probe")
    assert done.status == 0, done.err
    embedkit("probe", "-m", tiny_model, "-d", f"folder:{images}", "--replicates", 100)
    [path] = place.glob("results/*/*.few-shot.*.json")
    shown = embedkit("show", path, "--figures", "figures")
    assert shown.status == 0, shown.err
    # The same table, without the line that says where it is saved.
    assert done.out.splitlines()[:-1] == [line for line in shown.out.splitlines() if "written" not in line]
    assert len(list(Path("figures").iterdir())) == 1
    both = embedkit("show", *place.glob("results/*/*.json"), "--json").results
    assert ["points" in result for result in both] == [False, True]
    good = json.loads(path.read_text())
    point = good["points"][0]
    for damage in (
        {"points": 1},
        {"points": [{**point, "auc": {}}]},
        {"points": [{}]},
        {"notes": "x"},
        {"points": [1]},
    ):
        path.write_text(json.dumps({**good, **damage}))
        refused = embedkit("show", path)
        assert (refused.status, "no whole table of few-shot methods" in refused.err) == (2, True), damage
    path.write_text("[]")
    assert embedkit("show", path).status == 2


@pytest.mark.parametrize("verb", ["fewshot", "align", "compare"])
def test_a_broken_image_is_told_and_decides_the_status(
    verb: str, embedkit: Run, tiny_model: str, images: Path, wording: Path
) -> None:
    (images / "red" / "red-p0" / "broken.png").write_text("x")
    encoder = ("--image-encoder" if verb == "align" else "--model", tiny_model, "--text-encoder", "words")
    words = (verb, *encoder, "-d", f"folder:{images}", "--prompts", wording, "--folds", 2, "--replicates", 100)
    words = (*words, *(() if verb == "align" else ("--shots", 2)))
    done = embedkit(*words)
    assert done.status == 1
    assert "broken.png" in done.err
    again = embedkit(*words, "--allow-failed", 1, "--json")
    assert again.status == 0
    last = again.results[-1]
    [failed] = last["protocol"]["failed"] if verb == "align" else last["failed"]
    assert (failed["path"], failed["reason"]) == ("red/red-p0/broken.png", "not an image")


@pytest.mark.parametrize("verb", ["fewshot", "align"])
def test_a_place_that_cannot_be_written_is_a_sentence(
    verb: str, embedkit: Run, tiny_model: str, images: Path, wording: Path, place: Path
) -> None:
    (place / "results").write_text("a file stands where the folder should")
    encoder = ("--image-encoder" if verb == "align" else "--model", tiny_model, "--text-encoder", "words")
    words = (verb, *encoder, "-d", f"folder:{images}", "--prompts", wording, "--folds", 2, "--replicates", 100)
    done = embedkit(*words, *(() if verb == "align" else ("--shots", 2)))
    assert done.status == 2
    assert "can't be written to results/" in done.err
