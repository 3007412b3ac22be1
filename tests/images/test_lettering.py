"""Burned-in text is found on real images of four kinds, and not where none was drawn."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from embedkit.images import load
from embedkit.images.lettering import LEAST_LETTERS, letters_in_a_row

KINDS = {
    "ham10000": "HAM10000_images_part_1/*.jpg",
    "isic2018": "**/*.jpg",
    "hei-med": "**/*.jpg",
    "mini-mias": "**/*.png",
}
TEXTS = ("MUELLER HANS", "12.03.1957", "PID 4711", "Smith, John 45Y")


def real(data_root: Path, kind: str, count: int) -> list[np.ndarray]:
    files = sorted((data_root / kind).glob(KINDS[kind]))
    return [load(str(files[n * len(files) // count]))[0] for n in range(count)]


def drawn(pixels: np.ndarray, text: str, size: int) -> np.ndarray:
    image = Image.fromarray(pixels)
    fill = (255, 255, 255) if pixels[:40, : 10 * size].mean() < 140 else (0, 0, 0)
    ImageDraw.Draw(image).text((6, 6), text, fill=fill, font=ImageFont.load_default(size))
    return np.asarray(image)


@pytest.mark.parametrize("kind", KINDS)
def test_no_real_image_without_text_is_suspected(data_root: Path, kind: str) -> None:
    assert [letters_in_a_row(pixels) for pixels in real(data_root, kind, 12) if letters_in_a_row(pixels) >= 3] == []


@pytest.mark.parametrize("kind", KINDS)
def test_text_drawn_on_real_images_is_found(data_root: Path, kind: str) -> None:
    pages = [(pixels, text) for pixels, text in zip(real(data_root, kind, 4), TEXTS, strict=True)]
    found = [letters_in_a_row(drawn(pixels, text, 20)) for pixels, text in pages]
    assert min(found) >= LEAST_LETTERS
    assert max(found) >= 5


@pytest.mark.parametrize("name", ["person1214_virus_2059", "person1359_virus_2340"])
def test_the_time_that_an_x_ray_unit_wrote_is_found_and_a_lone_r_is_no_text(data_root: Path, name: str) -> None:
    pixels = load(str(data_root / f"chest_xray/train/PNEUMONIA/{name}.jpeg"))[0].copy()
    assert letters_in_a_row(pixels) >= LEAST_LETTERS
    pixels[:20, 180:], pixels[205:, 190:] = 0, 0
    assert letters_in_a_row(pixels) < LEAST_LETTERS


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 4000, 3), (300, 2, 3)])
def test_images_of_any_shape(shape: tuple[int, ...]) -> None:
    assert letters_in_a_row(np.zeros(shape, np.uint8)) == 0


def test_noise_is_no_text() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert letters_in_a_row(noise) < LEAST_LETTERS


@pytest.mark.parametrize("name", ["examples_palette.dcm", "examples_rgb_color.dcm"])
def test_what_an_ultrasound_unit_wrote_is_found(data_root: Path, name: str) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs embedkit[dicom]")
    assert letters_in_a_row(load(str(data_root / "dicom" / name))[0]) >= 5
