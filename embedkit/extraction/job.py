"""A job: one data set and one encoder, with the key of what will come of them, known without loading a model."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from embedkit import encoders, images
from embedkit._version import __version__
from embedkit.cache import Store, cache_key
from embedkit.cost import count_multiply_adds
from embedkit.datasets import ImageSet
from embedkit.encoders import INT8, PRECISIONS, engines
from embedkit.errors import EmbedkitError
from embedkit.extraction.appraised import Appraisal, Rivals
from embedkit.extraction.calibrated import Calibration
from embedkit.extraction.decode import Way


def _uncounted(_encoder: encoders.Encoder) -> None:
    """Return nothing: what ONNX Runtime computes is not torch's to count."""


@dataclass(frozen=True)
class Job:
    """What `extract` needs of an encoder.

    Attributes:
        encoder: its name, safe in a file name.
        configuration: everything that changes a vector; its hash is the key.
        preprocessing: what is done to the pixels of an image before they are batched.
        dtype: in which its vectors are stored.
        device: where it runs, decided only then: asking for a GPU imports torch.
        load: builds the encoder for an occasion on a device; called only when there is something to embed.
        multiply_adds: counts those of one image; None where the encoder can't be seen into.
        appraisal: what measures its gain and its cost where it is in int8.
        devices: where it runs beside itself, by a process each; none where it runs on one device.
    """

    encoder: str
    configuration: dict[str, Any]
    preprocessing: encoders.Preprocessing
    dtype: np.dtype[Any]
    device: Callable[[], str]
    load: Callable[[encoders.Occasion, str], encoders.Encoder]
    multiply_adds: Callable[[encoders.Encoder], int | None] = _uncounted
    appraisal: Appraisal | None = None
    devices: tuple[str, ...] = ()

    def on(self, device: str) -> "Job":
        """Return the same job for one device."""
        return replace(self, device=lambda: device, devices=())

    @property
    def way(self) -> Way:
        """How images are decoded and prepared."""
        policy = self.configuration.get("decoder")
        sides = (self.preprocessing.resize, self.preprocessing.width or 0)
        least = images.OVERSAMPLING * max(sides) if policy == images.DECODERS["scaled"] else None
        return Way(self.preprocessing, least, policy == images.DECODERS["device"])

    @property
    def key(self) -> str:
        """The key of the cache file."""
        return cache_key(self.configuration)

    def store(self, cache: Path, dataset: str, part: str = "") -> Store:
        """Return the place of its vectors of a data set, or of a part of it."""
        return Store(cache, dataset, self.encoder, self.key, part)

    def provenance(self, dataset: ImageSet) -> dict[str, Any]:
        """Return what the cache file says of its making."""
        return {
            "name": dataset.name,
            "encoder": self.encoder,
            "key": self.key,
            "configuration": self.configuration,
            "dataset": json.loads(json.dumps({"targets": dataset.targets, "facts": dataset.facts})),
            "version": __version__,
        }


@dataclass(frozen=True)
class Derived:
    """What makes vectors of those of another job's cache file, and of no image.

    Attributes:
        encoder: its name, safe in a file name.
        base: whose vectors are turned. pair: what turns them.
    """

    encoder: str
    base: "Job | Derived"
    pair: encoders.AlignedPair

    @property
    def configuration(self) -> dict[str, Any]:
        """Everything that changes a vector; its hash is the key."""
        return self.pair.configuration(self.base.configuration)

    @property
    def key(self) -> str:
        """The key of the cache file."""
        return cache_key(self.configuration)

    def store(self, cache: Path, dataset: str) -> Store:
        """Return the place of its vectors of a data set."""
        return Store(cache, dataset, self.encoder, self.key)


AnyJob = Job | Derived


def prepare(
    model: str,
    *,
    weights: Path | None = None,
    weights_folder: Path | None = None,
    precision: str | None = None,
    device: str | None = None,
    engine: str | None = None,
    decoder: str | None = None,
    fetch: bool = True,
    calibration: Calibration | None = None,
) -> AnyJob:
    """Find the encoder and its weights and say what the key of its vectors is, without importing torch.

    Args:
        model: a catalog name, ``timm:NAME``, ``open_clip:MODEL/PRETRAINED``, ``onnx:PATH`` or ``aligned:FILE``.
        weights: the file to take. weights_folder: where to look first, else ``EMBEDKIT_WEIGHTS``.
        precision: ``bf16`` or ``fp32``; by default bf16 where the machine has it. ``int8`` needs a calibration.
        device: ``cpu`` or ``cuda``; several as in ``cuda:0,cuda:1``, as `embedkit.encoders.devices_of` returns them.
        engine: what computes it, ``auto`` or one of `embedkit.encoders.engines.MODULES`; by default
            ``EMBEDKIT_ENGINE``, then auto.
        decoder: ``full``, ``scaled`` (large JPEGs at a fraction of their size) or ``device`` (JPEGs where the encoder
            is computed); by default ``EMBEDKIT_DECODER``, then full.
        fetch: whether a hub may be asked.
        calibration: says where the network in int8 is, which is made here where there is none yet; that takes a minute
            and imports torch.

    Raises:
        EmbedkitError: unknown model, engine or decoder, or its weights can't be found, or are not those of an aligned
            pair; of int8 as `Calibration.network` and `embedkit.encoders.check_int8`.
    """
    driven = engine or os.environ.get("EMBEDKIT_ENGINE") or engines.AUTO
    engines.check_engine(driven)
    policy = decoder or os.environ.get("EMBEDKIT_DECODER") or "full"
    if policy not in images.DECODERS:
        raise EmbedkitError(f"unknown decoder '{policy}': choose {' or '.join(images.DECODERS)}")
    card = encoders.resolve(model)
    if card.backend == encoders.ALIGNED:
        places: dict[str, Any] = {"weights": weights, "weights_folder": weights_folder, "fetch": fetch}
        places |= {"device": device, "engine": engine, "calibration": calibration}
        return _derived(card, precision, decoder, places)
    found = encoders.find_weights(card, weights, weights_folder, fetch)
    chosen = precision or encoders.default_precision(card)
    devices = tuple(device.split(",")) if device else ()
    first = devices[0] if devices else "cpu"
    # Asked for by name, it is checked also where nothing is left to do. Whether there is a GPU isn't known before torch
    # is imported, and what compile lacks depends on it.
    if chosen == INT8:
        encoders.check_int8(card, found, driven, first)
        if policy == "device":
            raise EmbedkitError("int8 is computed on the processor, where --decoder device gains nothing: leave it out")
    elif engine and engine not in (engines.AUTO, *([] if device else ["compile"])):
        encoders.check_engine_for(card, found, engine, chosen, first)
    # A worker of a cluster may run in another folder.
    found = replace(found, path=found.path.absolute())

    def where() -> str:
        return "cpu" if chosen == INT8 else first if devices else encoders.default_device()

    def multiply_adds(encoder: encoders.Encoder) -> int | None:
        if found.path.suffix == ".onnx":
            return None
        # Only what torch does can be counted.
        plain = encoder if encoder.engine == engines.DEFAULT else encoders.load_encoder(card, found, "fp32", "cpu")
        one = np.zeros((1, *encoder.shape), np.uint8)
        return count_multiply_adds(lambda: plain.encode(one))

    stamps, digest = encoders.weights_stamps(found.path), encoders.weights_digest(found.path)

    def load(occasion: encoders.Occasion, where: str) -> encoders.Encoder:
        encoder = encoders.load_encoder(card, found, chosen, where, driven, occasion)
        # Other stamps may be those of the same file on another machine.
        if encoders.weights_stamps(found.path) != stamps and encoders.weights_digest(found.path) != digest:
            raise EmbedkitError(f"the weights {found.path} were changed during the run: run the same command again")
        return encoder

    configuration = {
        "encoder": encoders.configuration(card, digest, chosen),
        "decoder": images.DECODERS[policy],
        "focus": None,
    }
    job = Job(
        encoder=card.slug,
        configuration=configuration,
        preprocessing=card.preprocessing,
        dtype=np.dtype(np.float32 if chosen == "fp32" else np.float16),
        device=where,
        load=load,
        multiply_adds=multiply_adds,
        devices=devices if len(devices) > 1 else (),
    )
    return job if calibration is None else _quantised(job, card, found, calibration)


def _quantised(job: Job, card: encoders.EncoderCard, weights: encoders.Weights, calibration: Calibration) -> Job:
    """Return a job in int8 as it is with the network that its calibration gives, whose digest is part of the key."""
    network = calibration.network(card, weights, job.way, job.configuration)
    encoder = {**job.configuration["encoder"], "network": encoders.network_facts(network)["digest"]}
    best = encoders.default_precision(card)

    def load(precision: str, device: str, engine: str, occasion: encoders.Occasion) -> encoders.Encoder:
        return encoders.load_encoder(card, weights, precision, device, engine, occasion)

    def rivals(occasion: encoders.Occasion) -> list[encoders.Encoder]:
        where = encoders.default_device()
        found = [load(best, where, engines.AUTO, occasion)]
        # Of a small set no engine is tried, and OpenVINO is here.
        if where == "cpu" and found[0].engine == engines.DEFAULT:
            found.append(load(best, where, "openvino", occasion))
        return found

    quantised = replace(
        job,
        configuration={**job.configuration, "encoder": encoder},
        load=lambda *_: encoders.load_quantised(card, network),
    )
    appraisal = Appraisal(
        encoder=job.encoder,
        key=quantised.key,
        network=network,
        way=job.way,
        load=lambda _: encoders.load_quantised(card, network),
        exact=lambda occasion: load("fp32", "cpu", "openvino", occasion),
        best=Rivals(best, rivals),
        drift=calibration.drift,
    )
    return replace(quantised, appraisal=appraisal)


def measured_of(job: AnyJob, cache: Path, data: str) -> dict[str, Any] | None:
    """Return what was measured of an encoder in int8 on a set; None where it is in another precision."""
    if isinstance(job, Derived):
        return measured_of(job.base, cache, data)
    return None if job.appraisal is None else job.appraisal.known(cache, data)


def every_way(precision: str | None = None, decoder: str | None = None) -> Iterator[tuple[str | None, str | None]]:
    """Yield a precision and a decoder for each way to compute a vector, today's first; None is this machine's choice.

    Args:
        precision, decoder: what is given is not varied.
    """
    decoders = [decoder] if decoder else [None, *images.DECODERS]
    for policy, number in product(decoders, [precision] if precision else [None, *PRECISIONS]):
        yield number, policy


def _derived(card: encoders.EncoderCard, precision: str | None, decoder: str | None, how: dict[str, Any]) -> Derived:
    assert card.path is not None
    pair = encoders.AlignedPair.load(card.path)
    wanted = pair.facts["image_key"]
    # The pair says by its key in which precision, and from which pixels, it was learnt.
    keys = []
    for number, policy in every_way(precision, decoder):
        base = prepare(pair.image_model, precision=number, decoder=policy, **how)
        if base.key == wanted:
            return Derived(card.slug, base, pair)
        keys.append(base.key)
    given = " or ".join(dict.fromkeys(keys))
    raise EmbedkitError(
        f"{card.name} was aligned with {pair.facts['image_encoder']} of the key {wanted}, and today's weights, "
        f"preprocessing, precision and decoder give it {given}: give those of then, or align anew"
    )
