"""The public API: parse, delegate, wrap."""
