"""Settings of a broker."""

from __future__ import annotations

from pydantic import Field, SecretStr

from tally.settings import Settings


class BrokerSettings(Settings):
    """What a broker reads from the environment besides the shared settings."""

    host: str = Field(default="127.0.0.1", description="Where the API listens.")
    port: int = Field(default=5000, ge=0, le=65535, description="Its port.")
    api_tokens: SecretStr = Field(
        default=SecretStr(""), description="name:token[,name:token]; who may call /api."
    )
    api_open: bool = Field(
        default=False, description="Serve /api without tokens although not on loopback."
    )

    fit_wait_s: float = Field(default=60.0, gt=0, description="A longer fit answers 202.")
    forecast_wait_s: float = Field(default=10.0, gt=0, description="Then 503 with Retry-After.")
    max_body_bytes: int = Field(default=64 * 2**20, ge=1024, description="Of one request.")
    max_values: int = Field(default=1_000_000, ge=1, description="Of one series.")
    max_steps: int = Field(default=100_000, ge=1, description="Of one forecast.")
    forecast_cache_bytes: int = Field(
        default=32 * 2**20, ge=0, description="Answers kept for repeated questions."
    )
    announce_every_s: float = Field(
        default=5.0, gt=0, description="How often coordination is compared with the store."
    )

    public_origin: str = Field(
        default="",
        pattern=r"(https?://[^/\s]+/?)?",
        description="Scheme and host that clients use, where a proxy changes the Host header; "
        "for signatures and job URLs.",
    )
    body_wait_s: float = Field(default=300.0, gt=0, description="A slower signed body is refused.")
    bodies_bytes: int = Field(
        default=512 * 2**20, ge=1024, description="Of all signed bodies in memory; then 429."
    )
    project_wait_s: float = Field(
        default=60.0, gt=0, description="How long a call waits for a project's home; then 503."
    )
    job_wait_s: float = Field(default=3600.0, gt=0, description="The same of a job.")
    max_snapshot_bytes: int = Field(
        default=512 * 2**20, ge=1024, description="Of one project, where it is merged or exported."
    )
    jobs_parallel: int = Field(default=8, ge=1, description="Jobs that run at once in a broker.")
    jobs_waiting: int = Field(default=100, ge=0, description="That wait there; then refused.")
    jobs_kept: int = Field(default=1000, ge=1, description="Of one customer, ended ones included.")
    job_keep_s: float = Field(
        default=86400.0, gt=0, description="How long the answer of a job can be fetched."
    )
    socket_connections: int = Field(default=64, ge=0, description="WebSockets open at once.")
    socket_message_bytes: int = Field(
        default=64 * 2**20, ge=1024, description="Of one message over a WebSocket."
    )
