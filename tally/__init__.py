"""Tally learns from mergeable statistics instead of rows, and serves forecasts without downtime."""
