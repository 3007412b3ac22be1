"""The device decoder: plain JPEGs go undecoded to where the encoder is, and nearly the same vectors come of them."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageFilter

import embedkit as ek
from embedkit import images
from embedkit.api import job_for
from embedkit.cache import read
from embedkit.datasets import open_dataset
from embedkit.encoders import OnDevice, OutOfMemory, Preprocessing, on_device
from embedkit.encoders.on_device import resize_into
from embedkit.errors import EmbedkitError
from embedkit.extraction import Report, extract
from embedkit.extraction.decode import Way, decode_rows
from tests.cli.conftest import write_checkpoint
from tests.encoders.conftest import cosine
from tests.extraction.fake import job
from tests.extraction.test_elsewhere import InThisProcess

PLAIN = ("colour", "grey", "progressive", "subsampled", "broken")
OTHERS = ("cmyk", "lying", "rgb", "cut", "png", "none")


def picture(number: int, size: tuple[int, int] = (90, 70)) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).resize(size)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs of all kinds, one whose numbers are broken though its header is not, and what is none."""
    folder = tmp_path_factory.mktemp("kinds")
    lying = Image.Exif()
    lying[274] = 6
    how: dict[str, dict[str, Any]] = {
        "colour": {"subsampling": 0},
        "subsampled": {"subsampling": 2},
        "progressive": {"progressive": True},
        "lying": {"exif": lying},
        "rgb": {"keep_rgb": True},
    }
    for number, name in enumerate(("colour", "grey", "progressive", "subsampled", "cmyk", "lying", "rgb")):
        mode = {"grey": "L", "cmyk": "CMYK"}.get(name, "RGB")
        picture(number).convert(mode).save(folder / f"{name}.jpg", quality=92, **how.get(name, {}))
    whole = (folder / "colour.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "none.jpg").write_text("no image")
    picture(9).save(folder / "png.jpg", format="PNG")
    # Its scan has no component: what opens a file looks no further than to where the scan begins.
    scan = whole.index(b"\xff\xda") + 4
    (folder / "broken.jpg").write_bytes(whole[:scan] + b"\0" + whole[scan + 1 :])
    return folder


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
def test_only_a_jpeg_that_all_decoders_read_alike_stays_undecoded(folder: Path, name: str) -> None:
    address = str(folder / f"{name}.jpg")
    if name in ("cut", "none"):
        with pytest.raises(images.ImageError):
            images.read(address).undecoded()
        return
    read = images.read(address)
    found = read.undecoded()
    assert read.digest == images.digest(address)
    if name in PLAIN:
        assert found == images.Jpeg(Path(address).read_bytes(), address)
    else:
        assert np.array_equal(found, images.load(address)[0])


def test_a_jpeg_of_a_hostile_size_and_one_of_several_frames_take_the_usual_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(folder / "colour.jpg")
    assert isinstance(images.read(f"{address}#frame=0").undecoded(), np.ndarray)
    monkeypatch.setattr("embedkit.images.policy.MAX_PIXELS", 90 * 70 - 1)
    with pytest.raises(images.TooManyPixels):
        images.read(address).undecoded()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "geometry",
    [(24, 32, "shortest", None), (48, 32, "shortest", None), (40, 40, "squash", 24), (200, 256, "shortest", None)],
)
@pytest.mark.parametrize("size", [(90, 70), (61, 85), (64, 64)])
def test_pixels_are_those_of_the_usual_way_but_for_a_rounding(
    geometry: tuple[int, int, str, int | None], interpolation: str, size: tuple[int, int]
) -> None:
    side, resize, mode, width = geometry
    preprocessing = Preprocessing(side, resize, mode, interpolation, (0.5,) * 3, (0.5,) * 3, width)
    image = np.array(picture(3, size))
    place = torch.zeros(preprocessing.shape, dtype=torch.uint8)
    resize_into(place, torch.from_numpy(image).permute(2, 0, 1), preprocessing)
    wanted = preprocessing.apply(image).astype(int)
    assert np.abs(place.numpy() - wanted).max() <= 2
    assert np.abs(place.numpy() - wanted).mean() < 0.3
    assert (place.numpy().any(2) == wanted.any(2)).all()


def _both(folder: Path, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, dict[int, images.ImageError]]:
    preprocessing = Preprocessing(32, 36, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3)
    addresses = [str(folder / f"{name}.jpg") for name in names]
    ways = [Way(preprocessing, on_device=True), Way(preprocessing)]
    given, usual = decode_rows(range(len(names)), addresses, ways).pixels
    seen, errors = OnDevice(preprocessing, "cpu").pixels(given, len(names) + 3)
    assert not seen[len(names) :].any()
    return seen[: len(names)].numpy().astype(int), usual.astype(int), errors


def test_a_batch_of_all_kinds_is_what_the_usual_way_gives(folder: Path) -> None:
    seen, usual, errors = _both(folder, ("colour", "cmyk", "grey", "progressive", "subsampled", "lying", "rgb", "png"))
    assert errors == {}
    assert np.abs(seen - usual).max() <= 2


def test_what_the_decoder_of_the_device_refuses_takes_the_usual_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = torchvision.io.decode_jpeg

    def refuses_progressive(files: list[torch.Tensor], *how: Any) -> list[torch.Tensor]:
        if any(b"\xff\xc2" in bytes(file.numpy()) for file in files):
            raise RuntimeError("Error while decoding JPEG images")
        return decode(files, *how)

    monkeypatch.setattr(torchvision.io, "decode_jpeg", refuses_progressive)
    seen, usual, errors = _both(folder, ("colour", "progressive", "grey"))
    assert errors == {}
    assert (seen[1] == usual[1]).all()
    assert np.abs(seen - usual).max() <= 2


def test_memory_that_runs_out_is_told_as_such(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("embedkit.encoders.on_device.resize_into", full)
    with pytest.raises(OutOfMemory, match="not enough memory for a batch of 4: give a smaller --batch"):
        _both(folder, ("colour",))


def test_on_a_gpu_all_that_is_queued_is_seen_through_before_memory_is_used_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = []

    class Event:
        def __init__(self, blocking: bool) -> None:
            assert blocking

        def record(self, stream: str) -> None:
            log.append(stream)

        def synchronize(self) -> None:
            log.append("done")

    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext(log.append(f"on {stream}")))
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(on_device, "_AT_ONCE", 2)
    monkeypatch.setattr(OnDevice, "_decoded", lambda _, files, device: [None] * len(files))
    preprocessing = Preprocessing(32, 36, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3)
    device = OnDevice(preprocessing, "cpu")
    device._stream = "side"
    files = [images.Jpeg((folder / f"{name}.jpg").read_bytes(), name) for name in ("colour", "broken", "grey")]
    _, errors = device.pixels(files, 3)
    assert list(errors) == [1]
    assert log == ["on side", "side", "done"] * 3
    monkeypatch.setattr(OnDevice, "_show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        device.pixels(files, 3)
    assert log == ["on side", "side", "done"] * 5


def _run(folder: Path, cache: Path, **options: Any) -> Report:
    undecoded = job(decoder=images.DECODERS["device"])
    return extract(open_dataset(f"folder:{folder}"), undecoded, cache, workers=0, batch=3, **options)


def test_a_jpeg_that_nothing_decodes_is_a_row_of_the_ledger_under_each_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for file in folder.iterdir():
        (tmp_path / "images" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "images" / "again.jpg").write_bytes((folder / "broken.jpg").read_bytes())
    one, two = (_run(tmp_path / "images", tmp_path / name, **how) for name, how in (("1", {}), ("2", _elsewhere())))
    plain = extract(open_dataset(f"folder:{tmp_path / 'images'}"), job(), tmp_path / "3", workers=0, batch=3)
    assert one.ledger == two.ledger == plain.ledger
    assert {Path(row["path"]).stem for row in one.ledger} == {"broken", "again", "cut", "none"}
    assert (one.embedded, two.embedded, plain.embedded) == (8, 8, 8)
    assert read(one.path).X.tobytes() == read(two.path).X.tobytes()
    assert read(one.path).table.equals(read(plain.path).table)
    assert 0 < np.abs(read(one.path).X - read(plain.path).X).max() < 1
    assert one.key != plain.key


def _elsewhere() -> dict[str, Any]:
    return {"cluster": InThisProcess()}


def test_an_encoder_takes_what_is_on_the_device(folder: Path, tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path, "test_vit")
    how: dict[str, Any] = {"weights": weights, "precision": "fp32", "engine": "torch", "workers": 0, "cache": tmp_path}
    device = ek.extract("timm:test_vit", f"folder:{folder}", decoder="device", **how)
    full = ek.extract("timm:test_vit", f"folder:{folder}", **how)
    assert device.key != full.key
    assert 0.999 < cosine(device.X, full.X) < 1
    # By name it is found though this machine's default is another decoder.
    [file] = tmp_path.rglob(f"*{full.key}.h5ad")
    file.unlink()
    assert ek.load("timm:test_vit", f"folder:{folder}", cache=tmp_path, weights=weights).key == device.key


def test_int8_goes_without(weights_root: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbedkitError, match=r"int8 .* --decoder device gains nothing: leave it out"):
        job_for("vit-ti16", weights=weights_root, precision="int8:chest-xray", decoder="device", cache=tmp_path)
