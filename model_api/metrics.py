"""What Prometheus is told about a worker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

FORECASTS = Counter(
    "tally_worker_forecasts", "Forecasts answered, by status", ["status"], registry=REGISTRY
)
LOADED = Gauge("tally_worker_versions", "Versions in this worker's memory", registry=REGISTRY)
FITS = Counter(
    "tally_fits", "Attempts ended, by the fit's state then", ["state"], registry=REGISTRY
)
FIT_SECONDS = Histogram(
    "tally_fit_seconds",
    "Seconds of computing for one fit",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
    registry=REGISTRY,
)
