"""The queue that hints at fits to do. It may forget or repeat: the ledger decides."""
