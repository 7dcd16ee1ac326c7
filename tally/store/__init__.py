"""Where statistics, models and the ledger live: compare-and-set rows, and immutable blobs."""
