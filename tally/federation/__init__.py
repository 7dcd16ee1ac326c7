"""Peers that model together without moving rows: a pure protocol, its transports, its rules."""
