"""Too narrow a key returns a wrong vector, too broad a key computes again: both are attacked here."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedkit.cache import cache_key, canonical_json

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
configurations = st.dictionaries(st.text(), values, min_size=1, max_size=4)


@given(configurations, st.randoms())
def test_order_of_fields_does_not_change_the_key(configuration: dict[str, Any], random: Any) -> None:
    items = list(configuration.items())
    random.shuffle(items)
    assert cache_key(dict(items)) == cache_key(configuration)


@given(configurations, configurations)
def test_equal_keys_mean_equal_configurations(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert (cache_key(a) == cache_key(b)) == (canonical_json(a) == canonical_json(b))


@given(configurations, st.data())
def test_any_changed_leaf_changes_the_key(configuration: dict[str, Any], data: st.DataObject) -> None:
    changed = copy.deepcopy(configuration)
    name = data.draw(st.sampled_from(sorted(changed)))
    changed[name] = [changed[name], "changed"]
    assert cache_key(changed) != cache_key(configuration)


def test_nan_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        cache_key({"mean": float("nan")})


def test_a_known_key_stays_what_it_is() -> None:
    # A change here makes every cache in the world stale: raise FORMAT_VERSION knowingly instead.
    assert cache_key({"encoder": "x", "mean": [0.5, 0.25]}) == "37217eb1e60df5b1"
