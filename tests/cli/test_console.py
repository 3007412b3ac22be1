"""What is told while work lasts, where there is no terminal."""

import pytest

from embedkit.cli import console


@pytest.mark.parametrize(
    ("count", "seconds", "line"),
    [(30, 10.0, "a: 30 of 90, 3.0 images/s, 20 s left"), (30, 60.0, "a: 30 of 90, 2.0 s for each, 120 s left")],
)
def test_a_line_tells_how_fast_and_how_long_yet(
    count: int, seconds: float, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("embedkit.cli.console.time.monotonic", lambda: now[0])
    monkeypatch.setattr(console, "_SECONDS_BETWEEN_LINES", 5.0)
    steps = console.Steps()
    steps.start("a", 90)
    now[0] += seconds
    steps.advance(count)
    assert capsys.readouterr().err.splitlines() == [line]
