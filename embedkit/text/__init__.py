"""Words: the texts of classes in the space of the images, so that images are told apart without a label.

`embed_classes` says every class in the words of a `PromptSet` and embeds what is said, once; `zero_shot` judges the
nearest class text as a probe is judged. Images and texts must be of one space.
"""

from embedkit.text.classes import ClassTexts, embed_classes
from embedkit.text.prompts import PromptSet, choose_prompts, read_prompts, shipped
from embedkit.text.retrieval import ranks, top
from embedkit.text.vectors import TextVectors, embed_texts
from embedkit.text.zeroshot import refuse_other_space, space_of, zero_shot

__all__ = [
    "ClassTexts",
    "PromptSet",
    "TextVectors",
    "choose_prompts",
    "embed_classes",
    "embed_texts",
    "ranks",
    "read_prompts",
    "refuse_other_space",
    "shipped",
    "space_of",
    "top",
    "zero_shot",
]
