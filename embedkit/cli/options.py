"""The options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="Encoder: a name of `embedkit models`, timm:NAME, "
        "open_clip:MODEL/PRETRAINED or onnx:PATH. May be given several times.",
    ),
]
Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        "-d",
        help="Images: a name of `embedkit datasets`, folder:PATH or csv:PATH. May be given several times.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the caches [default: $EMBEDKIT_CACHE or ./cache].")
]
Root = Annotated[
    Path | None, typer.Option("--root", help="Folder of the data sets [default: $EMBEDKIT_DATA or ./data].")
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="A checkpoint, or a folder of them [default: $EMBEDKIT_WEIGHTS, then the hub]."),
]
Precision = Annotated[
    str | None, typer.Option("--precision", help="bf16 or fp32 [default: bf16 where the machine computes in it].")
]
Device = Annotated[str | None, typer.Option("--device", help="cpu or cuda [default: cuda where there is one].")]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Decoding processes [default: one per core].")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Images per forward pass.")]
AllowFailed = Annotated[
    int, typer.Option("--allow-failed", min=0, help="Exit with status 0 though so many images failed.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
