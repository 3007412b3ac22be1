import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embedkit.images import NotFinite, window

WHOLE = hnp.arrays(
    st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]), hnp.array_shapes(max_dims=3)
)
REAL = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64]),
    hnp.array_shapes(max_dims=2),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=16),
)
EXTREME = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-1.7e308, 1.7e308))


@given(WHOLE)
def test_min_max_of_whole_numbers_is_the_documented_formula_exactly(values):
    low, high = int(values.min()), int(values.max())
    shown = window.min_max(values)
    if low == high:
        assert not shown.any()
        return
    exact = [(2 * 255 * (int(v) - low) + (high - low)) // (2 * (high - low)) for v in values.ravel()]
    assert shown.ravel().tolist() == exact
    assert shown.shape == values.shape


@given(REAL)
def test_min_max_of_real_numbers_keeps_order_and_fills_the_range(values):
    shown = window.min_max(values)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()
    if values.min() == values.max():
        assert not shown.any()
    else:
        assert (shown.min(), shown.max()) == (0, 255)


@given(EXTREME)
@pytest.mark.filterwarnings("error")
def test_min_max_does_not_overflow(values):
    shown = window.min_max(values)
    assert shown[np.unravel_index(values.argmin(), values.shape)] == 0
    assert shown.max() in (0, 255)


def test_min_max_leaves_out_what_is_ignored_and_blackens_it():
    values = np.array([[-2000, 100, 200, 300, 9000]])
    shown = window.min_max(values, ignore=(values < 0) | (values > 1000))
    assert shown.tolist() == [[0, 0, 128, 255, 0]]
    assert not window.min_max(values, ignore=np.ones(values.shape, bool)).any()


def test_booleans_are_black_and_white_even_when_constant():
    assert window.min_max(np.array([[True, True]])).tolist() == [[255, 255]]
    assert window.min_max(np.array([[True, False]])).tolist() == [[255, 0]]


def standard_linear(x, center, width):
    """Return the pseudo-code of DICOM PS3.3 C.11.2.1.2.1, output 0..255."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if x > center - 0.5 + (width - 1) / 2:
        return 255.0
    return ((x - (center - 0.5)) / (width - 1) + 0.5) * 255


@given(st.integers(-3000, 3000), st.integers(1, 5000), st.lists(st.integers(-4000, 4000), min_size=1, max_size=20))
def test_linear_is_the_pseudo_code_of_the_standard(center, width, values):
    expected = [np.floor(standard_linear(x, center, width) + 0.5) for x in values]
    np.testing.assert_allclose(window.linear(np.array(values), center, width), expected, atol=1)
    exact = [x for x in values if abs(standard_linear(x, center, width) % 1 - 0.5) > 1e-9]
    assert window.linear(np.array(exact), center, width).tolist() == [
        int(standard_linear(x, center, width) + 0.5) for x in exact
    ]


def test_linear_exact_and_sigmoid_at_known_points():
    values = np.array([0, 50, 100, 150, 200])
    assert window.linear_exact(values, 100, 100).tolist() == [0, 0, 128, 255, 255]
    expected = [int(255 / (1 + np.exp(-4 * (x - 100) / 100)) + 0.5) for x in values]
    assert window.sigmoid(values, 100, 100).tolist() == expected


@pytest.mark.filterwarnings("error")
def test_extreme_windows_are_silent():
    values = np.array([-1e308, 0.0, 1e308])
    assert window.sigmoid(values, 0, 1e-300).tolist() == [0, 128, 255]
    assert window.linear_exact(values, 0, 1e-300).tolist() == [0, 128, 255]
    assert window.linear(values, 0.5, 1).tolist() == [0, 0, 255]


def test_look_up_clamps_to_the_ends_of_the_table():
    table = np.array([10, 20, 30], np.uint16)
    assert window.look_up(np.array([-9, -1, 0, 1, 2, 70]), -1, table).tolist() == [10, 10, 20, 30, 30, 30]
    assert window.full_scale(np.array([0, 2048, 4095, 9999]), 12).tolist() == [0, 128, 255, 255]


def test_not_finite_names_the_file_and_counts():
    with pytest.raises(NotFinite, match=r"scan\.tif: 2 of its 4 values"):
        window.require_finite(np.array([np.nan, np.inf, 1, 2]), "scan.tif")
    window.require_finite(np.array([1, 2]), "scan.tif")
