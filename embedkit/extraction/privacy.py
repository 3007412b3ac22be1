"""What a user should hear of a set before its cache file is handed on, and what of a failure may be written there."""

from typing import TYPE_CHECKING

from embedkit.datasets import ImageSet, burned_in

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 5


def warnings_of(dataset: ImageSet) -> list[str]:
    """Return what may name patients in spite of everything: columns that are no pseudonyms, text in the pixels."""
    found = []
    if dataset.pseudonyms is not None:
        own = {*dataset.facts["pseudonyms"], "label", "split"}
        kept = [str(name) for name in dataset.table if name not in own]
        if kept:
            found.append(f"written as they are: {', '.join(kept)}. Take out of your table what identifies")
    if paths := burned_in(dataset):
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        found.append(
            f"{len(paths)} images have text burned into their pixels, as their headers say, which may name patients: "
            f"{', '.join(paths[:_NAMED])}{more} (column burned_in)"
        )
    return [f"{dataset.name}: {text}" for text in found]


def without_names(failed: "pd.DataFrame") -> list[str]:
    """Return messages for a ledger of pseudonyms: what was said of a failure may name anything."""
    return [
        f"{path}: {reason}; extract without --shard and cache merge say more on the terminal"
        for path, reason in zip(failed["path"], failed["reason"], strict=True)
    ]
