"""What crosses process boundaries, as data."""
