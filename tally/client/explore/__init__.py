"""Questions about what a project has learned, in groups."""
