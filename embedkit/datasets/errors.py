"""The one thing that can be wrong with a set and be put right from elsewhere: it is not here."""

from embedkit.errors import EmbedkitError


class DatasetNotFound(EmbedkitError):
    """The images of a set are not on this machine; what was cached of them may be."""
