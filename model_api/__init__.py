"""The workers: they alone see both the engine and the store."""
