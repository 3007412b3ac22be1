"""``embedkit cache``: look at, check, export and remove cache files."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from embedkit.cli import options
from embedkit.cli.console import Steps, print_json, print_table, say

app = typer.Typer(
    help="List, describe, verify, merge, export and remove cache files.", no_args_is_help=True, rich_markup_mode=None
)

Files = Annotated[
    list[str] | None, typer.Argument(help="Cache files, or names DATASET or DATASET/ENCODER; by default all.")
]


def _chosen(files: list[str] | None, cache: Path | None) -> list[Path]:
    from embedkit import api
    from embedkit.cache import NotCached, find

    folder = api.cache_folder(cache)
    if not files:
        return find(folder)
    chosen: list[Path] = []
    for name in files:
        dataset, _, encoder = name.partition("/")
        # The folders that a file lies in say what it is of, also where its name is given from inside one of them.
        path = Path(os.path.abspath(name))  # noqa: PTH100 - a link is called by its own name
        found = [path] if path.suffix == ".h5ad" and path.is_file() else find(folder, dataset, encoder or None)
        if not found:
            raise NotCached(f"'{name}' is neither a file nor cached in {folder}: embedkit cache ls lists what is")
        chosen += found
    return chosen


def _described(path: Path) -> dict[str, Any]:
    from embedkit.cache import CacheError, read_header
    from embedkit.images import DECODERS

    try:
        header = read_header(path)
    except CacheError as error:
        return {"path": str(path), "state": str(error)}
    configuration = header.provenance["configuration"]
    policy = configuration.get("decoder")
    return {
        "path": str(path),
        "state": "complete",
        "data": header.provenance["name"],
        "encoder": header.provenance["encoder"],
        "key": header.provenance["key"],
        "n": header.shape[0],
        "d": header.shape[1],
        "dtype": str(header.dtype),
        "precision": configuration["encoder"]["precision"],
        # Embedded texts have none, and a policy of another version has no name any more.
        "decoder": next((name for name, known in DECODERS.items() if known == policy), "other" if policy else "none"),
        "failed": header.failed.to_dict("records"),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "columns": list(header.table.columns),
        "dataset": header.provenance["dataset"],
        "configuration": configuration,
        "version": header.provenance["version"],
        **({"int8": json.loads(header.provenance["int8"])} if "int8" in header.provenance else {}),
    }


@app.command("ls")
def ls(cache: options.Cache = None, as_json: options.Json = False) -> None:
    """List the cache files."""
    found = [_described(path) for path in _chosen(None, cache)]
    if as_json:
        print_json({"results": found})
        return
    columns = ("data", "encoder", "n", "d", "precision", "decoder", "megabytes", "path")
    rows = [[item.get(column, "?") for column in columns] + [len(item.get("failed", []))] for item in found]
    if rows:
        print_table([*columns, "failed"], rows)
    else:
        say("no embeddings are cached here yet: embedkit extract --model NAME --data NAME")
    for item in found:
        if item["state"] != "complete":
            say(item["state"], error=True)


@app.command("info")
def info(files: Files = None, cache: options.Cache = None, as_json: options.Json = False) -> None:
    """Say what a cache file holds and what it was made of."""
    found = [_described(path) for path in _chosen(files, cache)]
    if as_json:
        print_json({"results": found})
        return
    for item in found:
        for name, value in item.items():
            if name == "failed":
                say(f"{'failed':14} {len(value)}")
                for row in value:
                    say(f"{'':14} {row['path']!r}: {row['reason']}: {row['message']}")
            elif isinstance(value, dict):
                for key, inner in value.items():
                    say(f"{name:14} {key}: {inner}")
            else:
                say(f"{name:14} {', '.join(value) if isinstance(value, list) else value}")
        say("")


@app.command("verify")
def verify(
    files: Files = None,
    cache: options.Cache = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Embed again what is lost; needs the images and the weights.")
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="For --repair: the encoder, where it is in no catalog.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", "-d", help="For --repair: the images, where they are in no catalog.")
    ] = None,
    root: options.Root = None,
    weights: options.Weights = None,
    as_json: options.Json = False,
) -> None:
    """Read every byte of the cache files, and of the shards of unfinished runs, and compare it with their checksums."""
    chosen = _chosen(files, cache)
    found = [*map(_verified, chosen), *map(_verified, _shards(chosen if files else None, cache))]
    for item in found if repair else []:
        # What can't be read at the moment may be intact.
        if item.get("damaged"):
            item.update(_repaired(Path(item["path"]), model or [], data or [], root, weights))
    if as_json:
        print_json({"results": found})
    for item in found if not as_json else []:
        say(f"{item['path']}: intact" if item["intact"] else str(item["why"]), error=not item["intact"])
        if "reused" in item:
            say(f"{item['path']}: repaired, {item['embedded']} embedded again, {item['reused']} kept")
    if not all(item["intact"] or item.get("repaired") for item in found):
        raise typer.Exit(1)


def _shards(chosen: list[Path] | None, cache: Path | None) -> list[Path]:
    from embedkit import api
    from embedkit.cache import find_shards, store_of

    if chosen is None:
        return find_shards(api.cache_folder(cache))
    stores = map(store_of, chosen)
    return [path for one in stores for path in find_shards(one.cache, one.dataset, one.encoder, one.key)]


def _verified(path: Path) -> dict[str, Any]:
    from embedkit.cache import CacheError, DamagedCache, ForeignCache
    from embedkit.cache.sealed import verify_seal

    try:
        verify_seal(path)
    except CacheError as error:
        # A run that ends meanwhile merges its shards and removes them.
        if path.exists():
            damaged = isinstance(error, (DamagedCache, ForeignCache))
            return {"path": str(path), "intact": False, "damaged": damaged, "why": str(error)}
    return {"path": str(path), "intact": True, "why": ""}


def _repaired(
    path: Path, models: list[str], data: list[str], root: Path | None, weights: Path | None
) -> dict[str, Any]:
    from embedkit.errors import EmbedkitError
    from embedkit.repair import repair

    if path.suffix != ".h5ad":
        path.unlink()
        return {"repaired": True, "embedded": 0, "why": f"{path}: removed, the next run embeds its images again"}
    try:
        report = repair(path, models=models, data=data, root=root, weights=weights, progress=Steps())
    except EmbedkitError as error:
        return {"repaired": False, "why": str(error)}
    return {"repaired": True, "embedded": report.embedded, "reused": report.reused, "failed": report.ledger}


@app.command("merge")
def merge(
    model: options.Models,
    data: options.Data,
    cache: options.Cache = None,
    root: options.Root = None,
    weights: options.Weights = None,
    precision: options.Precision = None,
    decoder: options.Decoder = None,
    allow_failed: options.AllowFailed = 0,
    as_json: options.Json = False,
) -> None:
    """Join what `embedkit extract --shard` embedded on several machines into cache files; embeds nothing itself."""
    from embedkit import api
    from embedkit.cli.extract import end_of, print_report
    from embedkit.extraction import extract_all_named

    api.check_names(model, data)
    how: dict[str, Any] = {"weights": weights, "precision": precision, "decoder": decoder, "cache": cache}
    jobs = [api.job_for(name, calibrate=False, **how) for name in api.each(model)]
    reports = []
    for name in api.each(data):
        folder = api.cache_folder(cache)
        reports += extract_all_named(name, jobs, folder, root=root, merge_only=True, progress=Steps())
    for report in reports if not as_json else []:
        print_report(report, idle="nothing was left to embed")
    end_of(reports, as_json, allow_failed)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="A cache file, or DATASET/ENCODER.")],
    to: Annotated[Path, typer.Argument(help="Where to: .npz (arrays), .csv (table and vectors) or .h5ad (a copy).")],
    cache: options.Cache = None,
    as_json: options.Json = False,
) -> None:
    """Write one cache file in another form."""
    from embedkit.cache.export import export as write
    from embedkit.errors import EmbedkitError

    chosen = _chosen([file], cache)
    if len(chosen) > 1:
        names = ", ".join(str(path) for path in chosen)
        raise EmbedkitError(f"'{file}' means several files: give one of {names}")
    write(chosen[0], to)
    if as_json:
        print_json({"results": [{"path": str(chosen[0]), "to": str(to)}]})
    else:
        say(f"{chosen[0]} -> {to}")


@app.command("rm")
def rm(
    files: Annotated[list[str], typer.Argument(help="Cache files, or names DATASET or DATASET/ENCODER.")],
    cache: options.Cache = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Remove cache files; the embeddings must then be extracted again."""
    from embedkit import api
    from embedkit.cache import remove

    chosen = _chosen(files, cache)
    for path in chosen:
        say(f"{path}  {path.stat().st_size / 1e6:.1f} MB", error=as_json)
    if not yes:
        typer.confirm(
            f"Remove {'this file' if len(chosen) == 1 else f'these {len(chosen)} files'}?", abort=True, err=as_json
        )
    for path in chosen:
        remove(path, api.cache_folder(cache))
    if as_json:
        print_json({"results": [{"path": str(path), "removed": True} for path in chosen]})
