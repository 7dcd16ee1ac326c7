"""Privacy: whether a peer's statistics may leave, judged from what stays with it."""
