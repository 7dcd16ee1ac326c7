"""Contracts: rules that statistics must keep before they are sent, or accepted."""
