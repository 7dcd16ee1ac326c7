"""Statistics that merge: what a project keeps of its rows, and what can be asked of it. No I/O."""
