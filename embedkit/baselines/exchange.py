"""What training a network costs more than a probe of frozen embeddings, and what it buys."""

from dataclasses import replace
from typing import Any

from embedkit.cost import Cost
from embedkit.errors import EmbedkitError
from embedkit.probing import ProbeResult
from embedkit.probing.contest import in_common, on_common_rows, question
from embedkit.probing.measures.compare import paired

_RATIOS = ("wall_seconds", "processor_seconds", "multiply_adds", "energy_kwh")


def exchange(probe: ProbeResult, trained: ProbeResult) -> dict[str, Any]:
    """Compare a probe with a trained network on the images that both judged.

    Args:
        probe: its ``cost`` has an entry ``embedding`` (`embedkit.extraction.Embedded.to_dict`) where that is known.
        trained: from `embedkit.baselines.train`.

    Returns:
        ``probe`` and ``trained`` (``model``, ``classifier``, ``auc``, ``cost``), ``ratios`` (trained / probe of each
        cost, None where either is unknown), ``auc_difference`` (trained - probe, a paired interval with ``p``),
        ``n`` (images that both judged) and ``notes``, sentences that the ratios can't be read without.

    Raises:
        EmbedkitError: the results answer different questions, or judged no image in common.
    """
    if question(probe) != question(trained):
        raise EmbedkitError(
            f"the probe is of {_in_words(probe)} and the trained network of {_in_words(trained)}: "
            "compare results on the same sets, target, level and protocol"
        )
    a, b, groups = on_common_rows(trained, probe)
    if not len(groups):
        raise EmbedkitError(f"the probe and the trained network judged no image of {probe.test} in common")
    settings = trained.protocol["settings"]
    difference = paired(a, b, groups, settings["replicates"], settings["seed"], ["auc"])["auc"]
    costs = spent(probe), spent(trained)
    return {
        "probe": _side(probe, costs[0]),
        "trained": _side(trained, costs[1]),
        "ratios": {name: _ratio(getattr(costs[1], name), getattr(costs[0], name)) for name in _RATIOS},
        "auc_difference": difference,
        "n": in_common(probe, trained),
        "notes": _notes(probe),
    }


def spent(result: ProbeResult) -> Cost:
    """Return what a result cost: embedding, where it is recorded, and fitting, or training; without the intervals.

    The multiply-adds of a probe are those of the encoder, with its solver's where it counted them; None where those of
    the encoder are not recorded.
    """
    own = Cost.from_dict(result.cost)
    if "training" in result.protocol:
        return own
    embedding = result.cost.get("embedding")
    solver = replace(own, multiply_adds=own.multiply_adds or 0)
    return solver + (Cost(multiply_adds=None) if embedding is None else Cost.from_dict(embedding))


def _side(result: ProbeResult, cost: Cost) -> dict[str, Any]:
    return {"model": result.model, "classifier": result.classifier, "auc": result.auc, "cost": cost.to_dict()}


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _notes(probe: ProbeResult) -> list[str]:
    embedding = probe.cost.get("embedding")
    if embedding is None:
        return ["what the embeddings cost is not recorded, so the ratios set training against the fit alone"]
    notes = ["the embeddings are made once and serve every further question of the same images"]
    used = probe.n_train + probe.n_test
    if embedding["images"] < used:
        notes.append(
            f"the cost of {embedding['images']} embeddings is recorded, and the probe used {used} images: the probe "
            "cost more than this says"
        )
    return notes


def _in_words(result: ProbeResult) -> str:
    where = result.data if result.data == result.test else f"{result.data} -> {result.test}"
    return f"'{result.target}' of {where} per {result.level} ({question(result).protocol})"
