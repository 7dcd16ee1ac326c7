"""Settings that every process shares, read from the environment once, at start.

Each field `name` is the variable `TALLY_NAME`. `broker/settings.py` and `model_api/settings.py`
add their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_CA = "PEM file of the authority behind the server's certificate."
_CERT = "PEM file of our certificate, where the server asks for one."
_KEY = "PEM file of its key."


class Settings(BaseSettings):
    """Where the backends are and how to reach them; the defaults need no server at all."""

    model_config = SettingsConfigDict(env_prefix="TALLY_", frozen=True, extra="ignore")

    data_dir: Path = Field(
        default=Path(".tally"), description="Folder of the embedded backends' files."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )

    coordination_url: str = Field(
        default="", description="etcd://host:2379, etcds://... for TLS; empty: embedded."
    )
    coordination_prefix: str = Field(default="", description="Put before every key.")
    coordination_user: str = Field(default="", description="Where etcd has authentication on.")
    coordination_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    coordination_ca: Path | None = Field(default=None, description=_CA)
    coordination_cert: Path | None = Field(default=None, description=_CERT)
    coordination_key: Path | None = Field(default=None, description=_KEY)
    lease_ttl_s: float = Field(
        default=5.0, ge=2.0, le=60.0, description="How long a dead worker stays in the table."
    )

    store_url: str = Field(default="", description="cql://host:9042/keyspace; empty: embedded.")
    store_user: str = Field(default="", description="Where the server has authentication on.")
    store_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    store_ca: Path | None = Field(default=None, description=f"{_CA} Turns TLS on.")
    store_cert: Path | None = Field(default=None, description=_CERT)
    store_key: Path | None = Field(default=None, description=_KEY)
    store_replication: int = Field(
        default=1, ge=1, description="Copies of each row when the keyspace is made."
    )
    store_start_wait_s: float = Field(
        default=60.0, ge=0, description="How long a process that starts waits for the store."
    )
    blob_url: str = Field(
        default="", description="s3://bucket/prefix?endpoint=...: binaries above a size go there."
    )
    blob_threshold_bytes: int = Field(default=8 * 2**20, ge=0, description="That size.")

    queue_url: str = Field(default="", description="nats://host:4222; empty: embedded.")
    queue_user: str = Field(default="", description="Where NATS has authentication on.")
    queue_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    queue_token: SecretStr = Field(default=SecretStr(""), description="Or a token.")
    queue_nkey_file: Path | None = Field(default=None, description="Or the seed of an nkey.")
    queue_credentials_file: Path | None = Field(
        default=None, description="Or a credentials file as nsc writes it."
    )
    queue_ca: Path | None = Field(default=None, description=_CA)
    queue_cert: Path | None = Field(default=None, description=_CERT)
    queue_key: Path | None = Field(default=None, description=_KEY)

    options_file: Path | None = Field(
        default=None,
        description="Properties file with the options of existing installations; "
        "RTLM_OPTION_... in the environment overrides it.",
    )

    internal_token: SecretStr = Field(
        default=SecretStr(""), description="Shared by brokers and workers; from the file if empty."
    )
    internal_token_file: Path | None = Field(
        default=None, description="Made on first start; default: internal-token in the data folder."
    )
    master_key: SecretStr = Field(
        default=SecretStr(""),
        description="Base64 of 32 bytes that seal secrets in the store; from the file if empty.",
    )
    master_key_file: Path | None = Field(
        default=None,
        description="Made on first use; back it up, and give it to every machine that shares the "
        "store. Default, with the embedded store only: master.key in the data folder.",
    )

    def coordination(self) -> str:
        """Return the coordinator's URL, the embedded one by default."""
        return self.coordination_url or f"sqlite:///{self.data_dir / 'coordination.db'}"

    def store(self) -> str:
        """Return the store's URL, the embedded one by default."""
        return self.store_url or f"sqlite:///{self.data_dir / 'store.db'}"

    def queue(self) -> str:
        """Return the fit queue's URL, the embedded one by default."""
        return self.queue_url or f"sqlite:///{self.data_dir / 'queue.db'}"
