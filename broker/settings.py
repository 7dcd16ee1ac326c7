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
