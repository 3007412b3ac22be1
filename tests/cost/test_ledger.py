"""Costs add up, what is not known stays so, and JSON gives them back."""

import json

from hypothesis import given
from hypothesis import strategies as st

from embedkit.cost import Cost

known = st.none() | st.integers(0, 10**15)
costs = st.builds(
    Cost,
    wall_seconds=st.integers(0, 10**6).map(float),
    processor_seconds=st.integers(0, 10**6).map(float),
    peak_memory_bytes=known,
    multiply_adds=known,
    energy_kwh=st.none() | st.integers(0, 10**6).map(float),
)


@given(costs, costs, costs)
def test_addition_is_that_of_numbers(a: Cost, b: Cost, c: Cost) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Cost() == a


def test_times_add_memory_does_not_and_the_unknown_absorbs() -> None:
    one = Cost(1.0, 2.0, 700, 10, 0.5)
    assert one + Cost(3.0, 4.0, 300, 5, 0.25) == Cost(4.0, 6.0, 700, 15, 0.75)
    assert one + Cost(0.0, 0.0, None, None, None) == Cost(1.0, 2.0, None, None, None)


@given(costs)
def test_json_gives_a_cost_back(cost: Cost) -> None:
    assert Cost.from_dict(json.loads(json.dumps({"images": 3, **cost.to_dict()}))) == cost
