"""What Prometheus is told about the peers that run on a worker."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from model_api.metrics import REGISTRY

PEERS = Gauge("tally_federation_peers", "Peers that this worker runs", registry=REGISTRY)
PULSING = Gauge(
    "tally_federation_peers_pulsing", "Those that synchronise by schedule", registry=REGISTRY
)
UNCONNECTED = Gauge(
    "tally_federation_peers_unconnected", "Those that cannot reach a broker", registry=REGISTRY
)
WITHHOLDING = Gauge(
    "tally_federation_peers_withholding",
    "Those whose newest rows the rules keep back",
    registry=REGISTRY,
)
REMOTE = Gauge(
    "tally_federation_remote_peers",
    "Other peers, as those that this worker runs see them",
    ["state"],
    registry=REGISTRY,
)
ENDED = Counter(
    "tally_federation_peers_ended",
    "Loops of peers that ended, by reason",
    ["reason"],
    registry=REGISTRY,
)
REBUILD_SECONDS = Histogram(
    "tally_federation_rebuild_seconds",
    "From a peer's wish to its new federated project",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
    registry=REGISTRY,
)
