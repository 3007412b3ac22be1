"""``python cli.py …`` is ``embedkit …``."""

from embedkit.cli import main

main()
