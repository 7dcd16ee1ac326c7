"""Fusion projects at their home: their cells, fetching them, and what is told of them."""
