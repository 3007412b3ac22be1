"""Classifiers from a few labelled embeddings, most of them beside what class texts say: `few_shot` compares them."""

from embedkit.text.fewshot.methods import METHODS
from embedkit.text.fewshot.run import few_shot, what_is_asked
from embedkit.text.fewshot.table import FewShotResult

__all__ = ["METHODS", "FewShotResult", "few_shot", "what_is_asked"]
