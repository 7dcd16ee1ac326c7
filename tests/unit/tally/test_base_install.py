"""What `pip install tally` starts, without any of the packages that extras bring."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: here, other tests have imported those packages already.
PROGRAM = """
import importlib, pkgutil, sys

OF_EXTRAS = {
    "aetcd", "boto3", "botocore", "cassandra", "google", "grpc", "matplotlib", "nats", "nkeys",
    "pandas", "polars", "prophet", "pyarrow", "sklearn", "statsforecast", "statsmodels",
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in OF_EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())

import broker, model_api, tally.cli, tally.client

for package in (broker, model_api, tally.cli, tally.client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

from model_api.federation.transports import Seat, transports
from tally.errors import ConfigurationError, InvalidInput
from tally.federation.keys import FederationKeys, Identity
from tally.federation.terms import Nats
from tally.fitqueue.open import open_queue
from tally.networks import Networks

keys = FederationKeys("flowers", bytes(16))
seat = Seat(Nats(hosts="nats://h:1"), keys, Identity("a" * 32, bytes(32)), True)
try:
    transports(None, None, Networks())(seat)
except InvalidInput as error:
    print(error)
try:
    open_queue("nats://h:1")
except ConfigurationError as error:
    print(error)
"""


def test_the_base_install_has_what_services_and_commands_import_and_says_what_nats_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    federation, queue = done.stdout.splitlines()
    assert federation.endswith("pip install 'tally[nats]'")
    assert "nats_hosts" in federation
    assert queue.endswith("needs 'nats': pip install 'tally[nats]'")
