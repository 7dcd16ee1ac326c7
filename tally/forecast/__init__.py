"""Forecasting of one regular series: `(t,)` in, `(h,)` out; no I/O, no clock."""
