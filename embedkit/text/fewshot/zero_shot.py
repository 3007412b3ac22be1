"""The texts alone, or an aligned pair alone: what the adapters start from."""

from embedkit.text.fewshot.shots import Fitted, Shots


def zero_shot(shots: Shots) -> Fitted:
    """Return the logits of the texts, with nothing learnt here."""
    scores = shots.zero_shot(shots.test)
    return Fitted(scores, [{} for _ in scores])
