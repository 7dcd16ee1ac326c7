"""Statistical models, made from the sums of rows, never from rows."""
