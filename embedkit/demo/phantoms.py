"""Phantom patients of four modalities, written as data sets in the `csv:` layout."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import Generator
from PIL import Image

from embedkit.demo import chest, dermoscopy, fundus, mammogram
from embedkit.demo.canvas import Pixels, Plane
from embedkit.errors import EmbedkitError

LABELS: Final = ("normal", "lesion")

_Draw = Callable[[Generator, bool], Plane]
_Photograph = Callable[[Plane, Generator], Pixels]

_MODALITIES: Final[dict[str, tuple[_Draw, _Photograph]]] = {
    "fundus": (fundus.draw, fundus.photograph),
    "mammogram": (mammogram.draw, mammogram.photograph),
    "dermoscopy": (dermoscopy.draw, dermoscopy.photograph),
    "chest-xray": (chest.draw, chest.photograph),
}

_README: Final = """\
These images are synthetic phantoms, not medical images. They were drawn by embedkit from a seed
({modality}, seed {seed}, {patients} phantom patients, {images} images of each) to show and to test the software.
They are of no person, and no number measured on them says anything about medicine.
labels.csv: path, label (normal or lesion), group (the phantom patient; the label is the patient's).
"""


def write_phantoms(folder: Path, patients: int = 24, images: int = 4, seed: int = 0) -> dict[str, Path]:
    """Write a folder of synthetic images for each modality; the same arguments give the same pixels.

    Every second patient has a lesion. A patient's anatomy depends on the seed and its number only, so that
    more patients or more images add to a set without changing it.

    Args:
        folder: where the folders `phantom-<modality>` are made, or overwritten.
        patients: phantom patients of each modality, 2 or more.
        images: images of each patient, 1 or more.
        seed: 0 or more.

    Returns:
        modality -> its labels.csv with the columns path, label and group.

    Raises:
        EmbedkitError: an argument is out of range, or the folder cannot be written.
    """
    if patients < 2 or images < 1 or seed < 0:
        raise EmbedkitError(
            f"cannot draw phantoms with patients={patients}, images={images}, seed={seed}: "
            "give 2 or more patients (one of each class), 1 or more images and a seed of 0 or more"
        )
    try:
        return {
            modality: _write(folder / f"phantom-{modality}", modality, patients, images, seed)
            for modality in _MODALITIES
        }
    except OSError as error:
        raise EmbedkitError(f"cannot write phantoms to {folder}: {error}; give a folder that can be written") from error


def _write(folder: Path, modality: str, patients: int, images: int, seed: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    draw, photograph = _MODALITIES[modality]
    stream = list(_MODALITIES).index(modality)

    def one_patient(patient: int) -> list[tuple[str, str, str]]:
        rows = []
        label, group = LABELS[patient % 2], f"patient-{patient:02d}"
        sheet = draw(np.random.default_rng((seed, stream, patient)), label == "lesion")
        for image in range(images):
            name = f"{group}_{image}.png"
            pixels = photograph(sheet, np.random.default_rng((seed, stream, patient, image + 1)))
            Image.fromarray(pixels).save(folder / name, compress_level=1)
            rows.append((name, label, group))
        return rows

    with ThreadPoolExecutor() as pool:
        rows = [row for some in pool.map(one_patient, range(patients)) for row in some]
    text = _README.format(modality=modality, seed=seed, patients=patients, images=images)
    (folder / "README.txt").write_text(text, encoding="utf-8")
    labels = folder / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label", "group"), *rows])
    return labels
