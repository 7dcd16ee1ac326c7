"""Settings of a worker and of a fit worker."""

from __future__ import annotations

from pydantic import Field

from tally.settings import Settings


class WorkerSettings(Settings):
    """What a worker reads from the environment besides the shared settings."""

    worker_host: str = Field(default="127.0.0.1", description="Where it listens for brokers.")
    worker_port: int = Field(default=0, ge=0, le=65535, description="0: any free one.")
    advertise_host: str = Field(
        default="", description="How brokers reach it; default: TALLY_WORKER_HOST."
    )
    swap_grace_s: float = Field(
        default=10.0, ge=0, description="How long a version stays loaded after the head moved."
    )
    extra_versions: int = Field(
        default=8, ge=0, description="Older versions kept loaded because somebody asked for them."
    )

    project_memory_bytes: int = Field(
        default=2**30, ge=2**20, description="Of the projects that a worker keeps loaded."
    )
    project_body_bytes: int = Field(
        default=2**28,
        ge=2**16,
        description="Of one call to a project's home, also once it is decompressed.",
    )
    project_waiting: int = Field(
        default=256, ge=1, description="Changes of one project that wait for their commit."
    )
    project_waiting_bytes: int = Field(
        default=2**28, ge=2**20, description="Of all changes that wait on one worker."
    )
    project_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="That fold rows at once; as many for questions, builds, and searches.",
    )
    project_wait_s: float = Field(
        default=60.0, gt=0, description="Then a call to a project's home is given up."
    )
    project_model_versions: int = Field(
        default=5, ge=2, le=100, description="Of a statistical model that are kept."
    )
    project_model_bytes: int = Field(
        default=2**27, ge=2**20, description="Of statistical models that are kept decoded."
    )
    project_build_s: float = Field(
        default=600.0,
        gt=0,
        description="Then the build of a statistical model is given up; a selection gives the best "
        "so far.",
    )

    public_origin: str = Field(
        default="", description="As the brokers have it: cells there are projects of our own."
    )
    public_origins: str = Field(default="", description="More such origins, comma-separated.")
    outbound_networks: str = Field(
        default="",
        description="Comma-separated networks, as 10.1.0.0/16, where workers may connect to for "
        "customers: to servers of fusion cells, brokers and admins of federations; empty: "
        "everywhere but this machine and its link.",
    )

    fit_timeout_s: float = Field(default=600.0, gt=0, description="Then the fit is stopped.")
    store_wait_s: float = Field(
        default=300.0, gt=0, description="A fit is given back when the store is away so long."
    )
    fit_attempts: int = Field(default=3, ge=1, description="Then it goes to the dead letters.")
    claim_ttl_s: float = Field(
        default=10.0, ge=1, description="A claim whose heartbeat stands still so long is dead."
    )
    reconcile_every_s: float = Field(
        default=5.0, gt=0, description="How often a fit worker walks the open fits."
    )
    tidy_every_s: float = Field(
        default=30.0, gt=0, description="How often a fit worker looks for what is too old."
    )
    fit_metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Where a fit worker shows /metrics, on TALLY_WORKER_HOST; 0: nowhere.",
    )
    keep_versions: int = Field(
        default=20, ge=2, description="Published versions of each model, and as many refused ones."
    )
    keep_fits: int = Field(default=200, ge=10, description="Ended fits of each model.")
    delete_grace_s: float = Field(
        default=600.0, ge=0, description="How long bytes outlive the last row that named them."
    )
