"""What Prometheus is told about a broker."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

REQUESTS = Counter("tally_requests", "Requests answered", ["route", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "tally_request_seconds",
    "Seconds from request to answer",
    ["route"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
    registry=REGISTRY,
)
CACHE_HITS = Counter(
    "tally_forecast_cache_hits", "Forecasts answered from the cache", registry=REGISTRY
)
RETRIES = Counter(
    "tally_forecast_retries", "Times a forecast waited for a worker", registry=REGISTRY
)
HOME_RETRIES = Counter(
    "tally_home_retries", "Times a call waited for a project's home", registry=REGISTRY
)
JOBS = Gauge("tally_jobs", "Jobs of projects that wait or run here", registry=REGISTRY)
WORKERS = Gauge("tally_workers", "Forecast workers in the table", registry=REGISTRY)
FITTERS = Gauge("tally_fit_workers", "Fit workers in the table", registry=REGISTRY)
ACCEPTED = Counter("tally_fits_accepted", "Fits accepted", registry=REGISTRY)
