"""Images/s of another tool over some image files; run by that tool's own Python, which needs no embedkit.

    PEER/bin/python benchmarks/peers.py thingsvision resnet50 < files       # a model of timm
    PEER/bin/python benchmarks/peers.py clip-retrieval ViT-B-32 < files     # a model of open_clip

`benchmarks/extract.py` runs it. The weights are random, which are as fast as others. The start is not counted.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BATCH, WORKERS = 32, 2


def thingsvision(model: str, files: list[str]) -> float:
    """Return images/s of `extract_features` over a DataLoader of its transformations, from the first batch on."""
    import torch
    from PIL import Image
    from thingsvision import get_extractor

    extractor = get_extractor(model_name=model, source="timm", device="cpu", pretrained=False)
    transform = extractor.get_transformations()

    class Files(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> Any:
            return transform(Image.open(files[index]).convert("RGB"))

    watched = _Watched(torch.utils.data.DataLoader(Files(), BATCH, num_workers=WORKERS))
    extractor.extract_features(batches=watched, module_name="global_pool", flatten_acts=True)
    return watched.rate(len(files))


class _Watched:
    """Batches, and the time when the first was there."""

    def __init__(self, batches: Any) -> None:
        self.batches, self.begun = batches, 0.0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> "Iterator[Any]":
        for batch in self.batches:
            self.begun = self.begun or time.perf_counter()
            yield batch

    def rate(self, images: int) -> float:
        return images / (time.perf_counter() - self.begun)


def clip_retrieval(model: str, files: list[str]) -> float:
    """Return images/s of its inference over a folder, from the first batch on."""
    import open_clip
    import torch
    from clip_retrieval.clip_inference import mapper
    from clip_retrieval.clip_inference.main import main

    done: list[float] = []
    real = mapper.ClipMapper.__call__

    def watched(one: Any, item: Any) -> Any:
        if not done:
            done.append(time.perf_counter())
        found = real(one, item)
        done.append(time.perf_counter())
        return found

    mapper.ClipMapper.__call__ = watched
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        for number, file in enumerate(map(Path, files)):
            (images / f"{number:06}{file.suffix}").symlink_to(file.resolve())
        torch.save(open_clip.create_model(model).state_dict(), f"{folder}/random.pt")
        main(
            input_dataset=str(images),
            output_folder=f"{folder}/out",
            batch_size=BATCH,
            num_prepro_workers=WORKERS,
            enable_text=False,
            clip_model=f"open_clip:{model}/{folder}/random.pt",
        )
    return len(files) / (done[-1] - done[0])


if __name__ == "__main__":
    rate = {"thingsvision": thingsvision, "clip-retrieval": clip_retrieval}[sys.argv[1]]
    # Each tool prints what it likes before.
    print("", rate(sys.argv[2], sys.stdin.read().splitlines()), sep="\n")
