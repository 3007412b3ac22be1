"""``python -m embedkit`` is ``embedkit``."""

from embedkit.cli import main

main()
