import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedkit.images import Address, split_address


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("a/b.png", Address("a/b.png")),
        ("a#b.png", Address("a#b.png")),
        ("scan.dcm#frame=3", Address("scan.dcm", frame=3)),
        ("scan.dcm#frame=0", Address("scan.dcm", frame=0)),
        ("x.npz#train_images[17]", Address("x.npz", array="train_images", row=17)),
        ("x.tar#bytes=1536+20480", Address("x.tar", stretch=(1536, 20480))),
        ("x.tar#bytes=1536", Address("x.tar#bytes=1536")),
        ("a#frame=1#frame=2", Address("a#frame=1", frame=2)),
        ("scan.dcm#frame=", Address("scan.dcm#frame=")),
        ("scan.dcm#frame=-1", Address("scan.dcm#frame=-1")),
        ("scan.dcm#frame=1\n", Address("scan.dcm#frame=1\n")),
        ("x.npz#a b[1]", Address("x.npz#a b[1]")),
        ("x.npz#a[1].png", Address("x.npz#a[1].png")),
    ],
)
def test_only_the_three_fragments_are_split_off(address, parts):
    assert split_address(address) == parts


def test_a_number_too_long_for_a_number_belongs_to_the_name():
    address = "x#frame=" + "9" * 5000
    assert split_address(address) == Address(address)


@given(st.text(), st.integers(0, 10**18 - 1))
def test_what_is_joined_is_split_again(path, number):
    assert split_address(f"{path}#frame={number}") == Address(path, frame=number)
    assert split_address(f"{path}#images[{number}]") == Address(path, array="images", row=number)


@given(st.text())
def test_a_path_is_never_altered(path):
    parts = split_address(path)
    assert path.startswith(parts.path)
    assert parts.whole == (parts.path == path)
