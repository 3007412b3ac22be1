"""The places weights are published: the Hugging Face hub and plain addresses, each with its cache on this machine."""

import os
import re
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from embedkit.encoders.card import EncoderCard

# Seconds to wait for a first answer. The hub's own client tries six times with growing pauses, 23 s without a network.
TIMEOUT = 5.0


class Unreachable(Exception):
    """The weights could not be fetched; the message is the reason in a few words."""


def cached(card: EncoderCard) -> Path | None:
    """Return the file if an earlier download left it on this machine, without any network."""
    if card.hub:
        from huggingface_hub import try_to_load_from_cache

        for name in card.files:
            found = try_to_load_from_cache(card.hub, name)
            if isinstance(found, str):
                return Path(found)
    elif card.url and (path := _url_cache(card.url)).is_file():
        return path
    return None


def cache_places(card: EncoderCard) -> list[str]:
    """Return what `cached` looks for, for a message."""
    if card.hub:
        from huggingface_hub import constants

        folder = Path(constants.HF_HUB_CACHE) / f"models--{card.hub.replace('/', '--')}"
        return [f"{' or '.join(card.files)} of {card.hub} in the hub cache {folder}"]
    return [f"{_url_cache(card.url)}"] if card.url else []


def fetch(card: EncoderCard) -> Path:
    """Download the weights into the cache that `cached` reads, and return the file.

    Raises:
        Unreachable: no network, switched off by HF_HUB_OFFLINE, refused, absent, or cut off.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise Unreachable("HF_HUB_OFFLINE is set, so nothing is fetched")
    return _fetch_hub(card) if card.hub else _fetch_url(card.url)


def by_hand(card: EncoderCard) -> str:
    """Return the commands that fill the cache on a machine with a network."""
    if card.hub:
        return f"hf download {card.hub} {card.files[0]}"
    return f"curl -fL --create-dirs -o {_url_cache(card.url)} {card.url}"


def _fetch_hub(card: EncoderCard) -> Path:
    from huggingface_hub import errors, hf_hub_download, hf_hub_url

    # The first is the base error of the HTTP library, whichever the client uses; the second is not in every version.
    transfer = (errors.HTTPError, getattr(errors, "XetDownloadError", OSError))  # type: ignore[attr-defined]
    _knock(hf_hub_url(card.hub, card.files[0]))
    for name in card.files:
        try:
            return Path(hf_hub_download(card.hub, name, etag_timeout=TIMEOUT))
        except errors.LocalEntryNotFoundError as error:
            raise Unreachable(str(error.__cause__ or error).split("\n")[0]) from error
        except errors.EntryNotFoundError:
            continue
        except (OSError, ValueError, RuntimeError, *transfer) as error:
            raise Unreachable(str(error).split("\n")[0]) from error
    raise Unreachable(f"{card.hub} has no file {' or '.join(card.files)}")


def _fetch_url(url: str) -> Path:
    _knock(url)
    import torch

    path = _url_cache(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), _hash_prefix(url), progress=sys.stderr.isatty())
    except (OSError, RuntimeError, HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error
    return path


def _knock(url: str) -> None:
    """Ask once whether the server answers at all; a refusal is an answer, and the download will name it."""
    try:
        urlopen(Request(url, method="HEAD", headers={"User-Agent": "embedkit"}), timeout=TIMEOUT).close()
    except HTTPError as error:
        error.close()
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{urlsplit(url).netloc} cannot be reached: {getattr(error, 'reason', error)}") from error


def _url_cache(url: str) -> Path:
    """Return where torch.hub keeps the file of an address, found without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return home.expanduser() / "hub" / "checkpoints" / Path(urlsplit(url).path).name


def _hash_prefix(url: str) -> str | None:
    """Return the first digits of the SHA-256, which torch's publishers put at the end of the file name."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
    return found.group(1) if found else None
