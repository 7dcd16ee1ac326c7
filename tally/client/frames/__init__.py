"""Rows in whatever form a user has them, in parts that are sent one after the other."""

from tally.client.frames.open import open_frame
from tally.client.frames.parts import Part, Source

__all__ = ["Part", "Source", "open_frame"]
