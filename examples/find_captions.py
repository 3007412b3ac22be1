"""Which of many captions fits an image best: the share of images whose own caption is the first, or among five.

python examples/find_captions.py FOLDER, the folder of the embeddings that LiT's demonstration is published with:
zimgs.bin and ztxts.bin (float32 rows of length 1), their names in zimgs.txt and ztxts.txt, and info.json, which names
five captions for each image, the first of them written for it and the others nearer to it or farther.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from embedkit.text import ranks, top

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
folder = parser.parse_args().folder
ids = (folder / "zimgs.txt").read_text(encoding="utf-8").splitlines()
captions = (folder / "ztxts.txt").read_text(encoding="utf-8").splitlines()
images = np.fromfile(folder / "zimgs.bin", "<f4").reshape(len(ids), -1)
texts = np.fromfile(folder / "ztxts.bin", "<f4").reshape(len(captions), -1)
written = {row["id"]: row["prompts"].split(",") for row in json.loads((folder / "info.json").read_text("utf-8"))}
own = [[captions.index(caption.strip()) for caption in written[name]] for name in ids]
for what, right in (("the first caption of its five", [rows[:1] for rows in own]), ("any of its five captions", own)):
    found = ranks(images, texts, right)
    print(f"{what}: top-1 {top(found, 1):.3f}, top-5 {top(found, 5):.3f} ({len(ids)} images, {len(captions)} captions)")
