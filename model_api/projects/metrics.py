"""What Prometheus is told about the projects at home on a worker."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from model_api.metrics import REGISTRY

PROJECT_CALLS = Counter(
    "tally_project_calls", "Calls about projects answered, by status", ["status"], registry=REGISTRY
)
PREDICTIONS = Counter(
    "tally_predictions", "Predictions answered by models of projects", registry=REGISTRY
)
RELOADED = Counter(
    "tally_models_reloaded",
    "Versions of models of projects that were loaded before anybody asked for them",
    registry=REGISTRY,
)
PROJECTS = Gauge("tally_projects_loaded", "Projects in this worker's memory", registry=REGISTRY)
MEMORY = Gauge("tally_projects_bytes", "Bytes that those take", registry=REGISTRY)
GROUP = Histogram(
    "tally_project_commit_changes",
    "Changes that one commit acknowledged",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
