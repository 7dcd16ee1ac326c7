"""Fusion: one project's statistics from those of its cells. No I/O, and no clock."""
