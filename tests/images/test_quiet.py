import threading
import warnings

import pytest

from embedkit.images.quiet import quiet


def test_warnings_inside_are_ignored_and_the_filters_come_back():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with quiet():
            warnings.warn("inside", stacklevel=1)
            with quiet():
                warnings.warn("deeper", stacklevel=1)
            warnings.warn("still inside", stacklevel=1)
        assert list(warnings.filters) == before
        with pytest.raises(UserWarning, match="after"):
            warnings.warn("after", stacklevel=1)


def test_the_filters_come_back_after_an_error():
    before = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    assert list(warnings.filters) == before


def test_two_threads_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first_in, second_in = threading.Event(), threading.Event()

    def first():
        with quiet():
            first_in.set()
            second_in.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(5)
    with quiet():
        second_in.set()
        thread.join(5)
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("the first has left", stacklevel=1)
        assert not seen
    assert list(warnings.filters) == before
