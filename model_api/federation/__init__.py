"""Federated projects at their home: what is kept of them, and the loop of each peer."""
