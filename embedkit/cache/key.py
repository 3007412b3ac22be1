"""The key of a cache file: a hash of everything that changes a vector, and of nothing else."""

import hashlib
import json
from typing import Any

FORMAT_VERSION = 1


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: a NaN or an infinity, which JSON has no word for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def cache_key(configuration: dict[str, Any]) -> str:
    """Return the key of a configuration, 16 hexadecimal digits.

    Args:
        configuration: everything that changes a vector (encoder, weights digest, preprocessing, decoder
            policy, precision, ...) as JSON values. Batch size, workers, device and paths don't belong in it.
    """
    text = canonical_json({"format": FORMAT_VERSION, **configuration})
    return hashlib.sha256(text.encode()).hexdigest()[:16]
