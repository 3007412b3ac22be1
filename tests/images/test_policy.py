import json

import pytest

from embedkit.images import MAX_PIXELS, POLICY, DamagedImage, NoSuchPart, SeveralFrames, TooManyPixels
from embedkit.images.policy import check_size, choose_frame


def test_the_policy_is_versioned_plain_data():
    assert POLICY["version"] == 1
    assert json.loads(json.dumps(POLICY)) == POLICY
    assert POLICY["wide"] == "min-max"


def test_the_limit_itself_passes():
    check_size(MAX_PIXELS, 1, "a")
    with pytest.raises(TooManyPixels, match=r"a\.png: its header says 178956971 x 1"):
        check_size(MAX_PIXELS + 1, 1, "a.png")


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (-5, -5)])
def test_no_pixels_is_damage(size):
    with pytest.raises(DamagedImage, match=r"a\.png"):
        check_size(*size, "a.png")


def test_choosing_a_frame():
    assert choose_frame(None, 1, "a") == 0
    assert choose_frame(0, 1, "a") == 0
    assert choose_frame(4, 5, "a") == 4
    with pytest.raises(SeveralFrames, match=r"a\.dcm: it holds 30 frames.*a\.dcm#frame=0.*a\.dcm#frame=29"):
        choose_frame(None, 30, "a.dcm")
    with pytest.raises(NoSuchPart, match=r"no frame 5.*#frame=4"):
        choose_frame(5, 5, "a")
    with pytest.raises(NoSuchPart, match="one frame"):
        choose_frame(1, 1, "a")
