"""Sharded projects at their home: the sum of their shards, and what goes to all or one of those."""
