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
        "open_clip:MODEL/PRETRAINED, onnx:PATH or aligned:FILE. May be given several times.",
    ),
]
Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        "-d",
        help="Images: a name of `embedkit datasets`, folder:, csv:, npz:, dicom:, hf: or wds:PATH. "
        "May be given several times.",
    ),
]
Pseudonymise = Annotated[
    bool,
    typer.Option(
        "--pseudonymise",
        help="Keyed hashes for ids, paths and groups; the salt is $EMBEDKIT_SALT, or in the file $EMBEDKIT_SALT_FILE.",
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
    str | None,
    typer.Option(
        "--precision",
        help="bf16 or fp32 [default: bf16 where the machine computes in it]; or int8:SET, calibrated on images of SET "
        "(docs/speed.md). Needs embedkit[int8].",
    ),
]
Device = Annotated[str | None, typer.Option("--device", help="cpu or cuda [default: cuda where there is one].")]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="cpu or cuda [default: cuda where there is one]. May be given several times, as cuda:0 and cuda:1, or be "
        "cuda:all: images are embedded on all of these, by one process each.",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Decoding processes [default: one per core].")]
Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Images per forward pass.")]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="auto, torch, compile, openvino or onnx [default: $EMBEDKIT_ENGINE, then auto: what is fastest here].",
    ),
]
Decoder = Annotated[
    str | None,
    typer.Option(
        "--decoder",
        help="full; scaled: large JPEGs at a fraction of their size, faster; or device: JPEGs on the GPU. "
        "Each has a key of its own [default: $EMBEDKIT_DECODER, then full].",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", help="3/8 embeds the third of eight parts of the set; `embedkit cache merge` joins them."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="ray: workers of a Ray cluster embed, one encoder each; needs embedkit[ray]."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of a Ray cluster [default: $RAY_ADDRESS, else one is started on this machine]."),
]
RayWorkers = Annotated[
    int | None, typer.Option("--ray-workers", min=1, help="Encoders [default: one per node, or per GPU asked for].")
]
GpusPerWorker = Annotated[
    float, typer.Option("--gpus-per-worker", min=0, help="GPUs of each Ray worker; 0.5 lets two share one.")
]
AllowFailed = Annotated[
    int, typer.Option("--allow-failed", min=0, help="Exit with status 0 though so many images failed.")
]
Test = Annotated[
    str | None, typer.Option("--test", help="Another set with the same classes: train on --data, judge on this.")
]
Target = Annotated[str | None, typer.Option("--target", help="What to predict [default: the set's first].")]
Group = Annotated[str | None, typer.Option("--group", help="Column of the patient or lesion that must not be split.")]
ClassWeight = Annotated[
    str | None, typer.Option("--class-weight", help="balanced: weigh rare and common classes alike.")
]
Folds = Annotated[
    int, typer.Option("--folds", min=2, help="Of cross-validation, where there is no test split; a network each.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of folds, draws, bootstrap; of a network's weights and order.")]
Replicates = Annotated[int, typer.Option("--replicates", min=100, help="Of the bootstrap.")]
Again = Annotated[bool, typer.Option("--again", help="Compute what is saved already once more.")]
Results = Annotated[
    Path | None, typer.Option("--results", help="Folder of the results [default: $EMBEDKIT_RESULTS or ./results].")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
TextEncoder = Annotated[
    str | None,
    typer.Option("--text-encoder", help="A CLIP, minilm, or hf:FOLDER [default: the text tower of --model]."),
]
TextWeights = Annotated[
    Path | None, typer.Option("--text-weights", help="Checkpoint or folder of --text-encoder, where it is another one.")
]
Prompts = Annotated[
    str | None,
    typer.Option("--prompts", help="A .toml or .json FILE, or a shipped set [default: that of the set's modality]."),
]
