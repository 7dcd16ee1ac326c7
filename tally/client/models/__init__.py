"""Models of a project: building them, and asking one of them."""
