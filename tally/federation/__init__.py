"""Federations: peers that model together, and move no rows."""
