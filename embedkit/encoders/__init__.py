"""Encoders: frozen pretrained models, as data (a catalog of cards), found (weights) and run (images to vectors).

A spec such as ``resnet50-v1`` or ``timm:resnet18`` resolves to an `EncoderCard`; `find_weights` looks for its weights
on this machine first; `load_encoder` builds the model and loads them strictly, without executing a pickle; `check` says
whether a file fits, and which model it is of; an `Encoder` turns a batch of images, each prepared by
`Preprocessing.apply`, into one vector per image. `text_tower` does the same for the text tower of a CLIP or for a
sentence encoder such as ``minilm``: a `TextEncoder` turns texts into vectors, and `space` says which vectors may be
compared. An `AlignedPair` takes the vectors of an image encoder into the space of a text tower. No room below the API
caches anything here, and torch is imported only to build and run a model.
"""

from embedkit.encoders.batch import best_batch
from embedkit.encoders.card import ALIGNED, EncoderCard, configuration, space
from embedkit.encoders.catalog import catalog
from embedkit.encoders.device import check_device, default_device, default_precision, devices_of, kind_of
from embedkit.encoders.encoder import (
    INT8,
    PRECISIONS,
    Encoder,
    OutOfMemory,
    check_engine_for,
    check_int8,
    check_quantises,
    load_encoder,
    load_quantised,
    quantise,
)
from embedkit.encoders.engines.fastest import Occasion
from embedkit.encoders.matching import Fit, check
from embedkit.encoders.on_device import OnDevice, Picture
from embedkit.encoders.pair import AlignedPair
from embedkit.encoders.preprocess import Preprocessing
from embedkit.encoders.quantised import QuantisedNetwork, network_facts
from embedkit.encoders.resolve import resolve
from embedkit.encoders.sentence import SentenceCard, sentence_catalog
from embedkit.encoders.text_encoder import TextEncoder, TextTower
from embedkit.encoders.text_towers import has_text, of_pair, text_tower
from embedkit.encoders.vectors import unit
from embedkit.encoders.weights import (
    Weights,
    WeightsNotFound,
    find_weights,
    local_weights,
    weights_digest,
    weights_folder,
    weights_stamps,
)

__all__ = [
    "ALIGNED",
    "INT8",
    "PRECISIONS",
    "AlignedPair",
    "Encoder",
    "EncoderCard",
    "Fit",
    "Occasion",
    "OnDevice",
    "OutOfMemory",
    "Picture",
    "Preprocessing",
    "QuantisedNetwork",
    "SentenceCard",
    "TextEncoder",
    "TextTower",
    "Weights",
    "WeightsNotFound",
    "best_batch",
    "catalog",
    "check",
    "check_device",
    "check_engine_for",
    "check_int8",
    "check_quantises",
    "configuration",
    "default_device",
    "default_precision",
    "devices_of",
    "find_weights",
    "has_text",
    "kind_of",
    "load_encoder",
    "load_quantised",
    "local_weights",
    "network_facts",
    "of_pair",
    "quantise",
    "resolve",
    "sentence_catalog",
    "space",
    "text_tower",
    "unit",
    "weights_digest",
    "weights_folder",
    "weights_stamps",
]
