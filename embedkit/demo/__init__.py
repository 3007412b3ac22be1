"""The demo: small synthetic phantoms of four modalities, drawn from a seed with numpy and Pillow, and the journey from
them to figures. They are pictures to try the software on, and are called synthetic wherever shown.
"""

from embedkit.demo.phantoms import write_phantoms
from embedkit.demo.run import Demo, run_demo

__all__ = ["Demo", "run_demo", "write_phantoms"]
