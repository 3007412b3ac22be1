"""What a verb with words has done is read where it is asked again, and what is misspelt is told before it begins."""

from pathlib import Path
from typing import Any

import pytest

import embedkit as ek
from tests.cli.conftest import WORDING, Run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def asked(clip: str, images: Path, place: Path) -> dict[str, tuple[object, ...]]:
    """The words of each verb on the same images."""
    (place / "mine.toml").write_text(WORDING)
    rest = ("-d", f"folder:{images}", "--prompts", "mine.toml", "--replicates", 100)
    return {
        "zeroshot": ("zeroshot", "-m", clip, *rest),
        "align": ("align", "--image-encoder", clip, "--text-encoder", clip, *rest, "--folds", 2),
        "fewshot": ("fewshot", "-m", clip, *rest, "--folds", 2, "--shots", 2),
        "probe": ("probe", "-m", clip, *rest[:2], "--replicates", 100, "--folds", 2),
        "compare": ("compare", "-m", clip, *rest, "--folds", 2, "--shots", 2),
    }


def without_costs(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "cost"} for one in results]


WORK = {"zeroshot": "embedkit.text.zeroshot.conclude", "align": "embedkit.text.aligning.run.projection.fit"}


@pytest.mark.parametrize("verb", ["zeroshot", "align"])
def test_it_is_read(
    verb: str, embedkit: Run, asked: dict[str, tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    first = embedkit(*asked[verb], "--json")
    assert (first.status, "done before" in first.err) == (0, False)
    with monkeypatch.context() as patch:
        patch.setattr(WORK[verb], lambda *_, **__: pytest.fail("it is made again"))
        second = embedkit(*asked[verb], "--json")
    assert "done before, read from results/" in second.err
    assert second.results == first.results
    anew = embedkit(*asked[verb], "--again", "--json")
    assert "done before" not in anew.err
    assert without_costs(anew.results) == without_costs(first.results)
    for more in (("--seed", 1), ("--group", "path")):
        assert "done before" not in embedkit(*asked[verb], *more).err, more
    # A file that can't be read is made anew.
    for path in (place / "results").rglob("*.json"):
        path.write_text(path.read_text()[:-20])
    assert "done before" not in embedkit(*asked[verb]).err
    assert embedkit("show", *(place / "results").rglob("*.json")).status in (0, 2)


def test_the_words_of_two_classes_exchanged_are_another_question(
    embedkit: Run, asked: dict[str, tuple[object, ...]], place: Path
) -> None:
    verbs = ("zeroshot", "align", "fewshot")
    for verb in verbs:
        assert embedkit(*asked[verb]).status == 0
    # The same texts in all, each said of the other class.
    exchanged = (
        WORDING.replace("something red", "x")
        .replace("something green", "something red")
        .replace('"x"', '"something green"')
    )
    (place / "mine.toml").write_text(exchanged)
    for verb in verbs:
        done = embedkit(*asked[verb])
        assert (done.status, "done before" in done.err) == (0, False), verb


def test_a_pair_without_its_file_is_made_again_and_out_is_one_more_file(
    embedkit: Run, asked: dict[str, tuple[object, ...]], place: Path
) -> None:
    embedkit(*asked["align"])
    [beside] = (place / "results").rglob("*.safetensors")
    done = embedkit(*asked["align"], "--out", "pair.safetensors")
    assert "done before" in done.err
    assert Path("pair.safetensors").read_bytes() == beside.read_bytes()
    beside.unlink()
    assert "done before" not in embedkit(*asked["align"]).err
    assert ek.load_aligned(beside).key == ek.load_aligned("pair.safetensors").key


def test_a_comparison_reads_what_other_verbs_did_and_saves_what_they_read(
    embedkit: Run, asked: dict[str, tuple[object, ...]], place: Path
) -> None:
    embedkit(*asked["probe"])
    first = embedkit(*asked["compare"])
    assert first.err.count("done before") == 1
    files = [line.removeprefix("saved: ") for line in first.out.splitlines() if line.startswith("saved: ")]
    assert len(files) == 4
    second = embedkit(*asked["compare"])
    assert second.err.count("done before") == 4
    assert second.out == first.out
    shown = embedkit("show", *files)
    assert shown.status == 0
    for told in ("logistic", "aligned", "zero-shot", "lp++"):
        assert told in shown.out
    assert "done before" not in embedkit(*asked["compare"], "--again").err
    for verb in ("zeroshot", "align", "fewshot"):
        assert ("done before" in embedkit(*asked[verb]).err) == (verb != "zeroshot"), "it has no --folds"


@pytest.mark.parametrize(
    ("verb", "more", "sentence"),
    [
        ("fewshot", ("--method", "lpp"), "unknown method 'lpp'. Did you mean lp++?"),
        ("fewshot", ("--loss", "cosine"), "unknown loss 'cosine'"),
        ("fewshot", ("--prompts", "skin"), "unknown prompt set 'skin'"),
        ("fewshot", ("--shots", "0"), "each is a number of images per class"),
        ("fewshot", ("--shots", "none"), "give shots or fractions"),
        ("fewshot", ("--fractions", "101"), "each is a percentage"),
        ("fewshot", ("--seed", "-1"), "seed = -1 is too small"),
        ("align", ("--loss", "cosine"), "unknown loss 'cosine'"),
        ("align", ("--prompts", "skin"), "unknown prompt set 'skin'"),
        ("align", ("--text-encoder", "minlm"), "unknown text encoder 'minlm'"),
        ("align", ("--seed", "-1"), "seed = -1 is too small"),
        ("zeroshot", ("--seed", "-1"), "seed = -1 is too small"),
        ("zeroshot", ("--prompts", "skin"), "unknown prompt set 'skin'"),
        ("compare", ("--prompts", "skin"), "unknown prompt set 'skin'"),
        ("compare", ("--text-encoder", "minlm"), "unknown text encoder 'minlm'"),
        ("compare", ("--shots", "0"), "each is a number of images per class"),
    ],
)
def test_what_is_misspelt_is_told_before_anything_is_embedded(
    verb: str,
    more: tuple[str, ...],
    sentence: str,
    embedkit: Run,
    asked: dict[str, tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("embedkit.api.bring_up_to_date", lambda *_, **__: pytest.fail("images were embedded"))
    done = embedkit(*asked[verb], *more)
    assert (done.status, sentence in done.err) == (2, True), done.err


def test_a_comparison_that_the_set_does_not_allow_ends_before_anything_is_fitted(
    embedkit: Run, asked: dict[str, tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedkit.many.api.probe", lambda *_, **__: pytest.fail("a probe was fitted"))
    done = embedkit(*asked["compare"], "--shots", 99)
    assert (done.status, "99 shots are more than there are training images" in done.err) == (2, True)


def test_prompts_that_nothing_reads_are_refused(embedkit: Run, tiny_model: str, images: Path) -> None:
    done = embedkit("fewshot", "-m", tiny_model, "-d", f"folder:{images}", "--prompts", "dermoscopy")
    assert (done.status, "has no text tower that would read the prompts dermoscopy" in done.err) == (2, True)
