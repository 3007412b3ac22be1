import pickle

from embedkit.errors import EmbedkitError
from embedkit.images import errors


def kinds():
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ImageError)]


def test_every_reason_is_its_own_short_words():
    reasons = [kind.reason for kind in kinds()]
    assert len(set(reasons)) == len(reasons) == 13
    assert all(reason == reason.lower() and len(reason) < 20 for reason in reasons)


def test_errors_come_back_from_worker_processes():
    for kind in kinds():
        error = pickle.loads(pickle.dumps(kind("a.png: no.")))
        assert type(error) is kind
        assert str(error) == "a.png: no."
        assert isinstance(error, EmbedkitError)


def test_what_a_library_says_is_one_line_of_bearable_length():
    assert errors.reason_of(RuntimeError("all failed:\n  pillow: no\n")) == "all failed: pillow: no"
    assert errors.reason_of(KeyError()) == "KeyError"
    assert len(errors.reason_of(ValueError("x" * 999))) == 201
