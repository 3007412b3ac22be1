"""``embedkit compare``: every route on the same images, those of a CLIP and of saved networks among them."""

from dataclasses import replace
from pathlib import Path

import pytest

from embedkit import saved
from embedkit.probing import ProbeResult
from tests.cli.conftest import WORDING, Run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def which(images: Path) -> tuple[object, ...]:
    return ("-d", f"folder:{images}", "--folds", 2, "--replicates", 100)


def test_all_routes_on_the_same_images(
    embedkit: Run,
    tiny_model: str,
    which: tuple[object, ...],
    wording: Path,
) -> None:
    words = ("compare", "-m", tiny_model, *which, "--text-encoder", "words", "--prompts", wording, "--shots", 2)
    done = embedkit(*words)
    assert done.status == 0, done.err
    for told in ("logistic", "aligned", "lp++", "no zero-shot", "embedkit baseline train"):
        assert told in done.out
    *found, few = embedkit(*words, "--json").results
    assert {one["classifier"] for one in found} == {"logistic", "aligned"}
    assert len({one["n_test"] for one in [*found, few]}) == 1
    assert sum(one["comparison"]["best"] for one in found) == 1
    [alone] = embedkit("probe", "-m", tiny_model, *which, "--json").results
    assert [one["auc"] for one in found if one["classifier"] == "logistic"] == [alone["auc"]]


def test_a_clip_and_a_saved_network_stand_beside_the_rest(
    embedkit: Run, clip: str, which: tuple[object, ...], place: Path
) -> None:
    (place / "mine.toml").write_text(WORDING)
    embedkit("probe", "-m", clip, *which)
    [path] = (place / "results").rglob("*.json")
    # A network of the same question, as `embedkit baseline train` saves one.
    network = replace(ProbeResult.load(path), classifier="trained", model="resnet18", key="0123456789abcdef")
    network.save(saved.place_of(network, Path("results")))
    words = ("compare", "-m", clip, *which, "--prompts", "mine.toml", "--shots", 2)
    *found, few = embedkit(*words, "--json").results
    assert {one["classifier"] for one in found} == {"logistic", "aligned", "zero-shot", "trained"}
    assert sum(one["comparison"]["best"] for one in found) == 1
    [alone] = embedkit(
        "zeroshot", "-m", clip, *which[:2], "--prompts", "mine.toml", "--replicates", 100, "--json"
    ).results
    assert [one["auc"] for one in found if one["classifier"] == "zero-shot"] == [alone["auc"]]
    # Both towers are of one checkpoint: texts are used as they are.
    assert {"text", "tip-adapter", "lp++"} <= {point["method"] for point in few["points"]}
    assert few["protocol"]["projection"] is None
