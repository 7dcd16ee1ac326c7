"""Who serves what, as far as the coordinator tells, and asking the home of a project."""
