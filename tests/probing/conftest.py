"""One judged result that several tests look at."""

import pytest

from embedkit.probing import ProbeResult, probe
from tests.probing.making import a_set, split_of


@pytest.fixture(scope="session")
def published() -> ProbeResult:
    return probe(a_set(split=split_of(240)), replicates=200)
