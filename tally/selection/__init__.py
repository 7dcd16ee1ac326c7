"""Choosing a model: families, penalties and inputs are tried, and rows tell which is best."""
