"""Projects at home on this worker: their only writer, and who answers questions about them."""
