"""Who serves what, and asking one of them."""
