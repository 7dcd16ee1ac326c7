"""A model that cannot be read back: the one before goes on, and everybody can see why."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from tests.system.cluster import Cluster
from tests.system.process import until


def damage(cluster: Cluster, version: int) -> None:
    """Change one byte of a version's binary, as a bad disk would."""
    with closing(sqlite3.connect(cluster.data / "store.db", timeout=10)) as db, db:
        (manifest,) = db.execute(
            "SELECT value FROM entries WHERE key = ?", (f"version/{version:012}",)
        ).fetchone()
        blob = json.loads(manifest)["blob"]["id"]
        (data,) = db.execute("SELECT data FROM chunks WHERE blob = ?", (blob,)).fetchone()
        changed = bytes([data[0] ^ 1]) + data[1:]
        db.execute("UPDATE chunks SET data = ? WHERE blob = ?", (changed, blob))


async def test_a_damaged_head_leaves_the_version_before_in_service_until_the_next_fit(
    cluster: Cluster,
) -> None:
    await cluster.start()
    assert [await cluster.version(level) for level in (100.0, 200.0)] == [1, 2]
    damage(cluster, 2)
    # All that hold version 2 in memory end; what is left is in the store.
    for process in cluster.alive("serve", "broker"):
        process.kill()
    cluster.broker()
    worker = cluster.worker()
    await cluster.answers()
    reply = await cluster.serving(1)
    assert all(90 < value < 110 for value in reply.json["data"])
    told = json.dumps((await cluster.call("GET", "/ready")).json)
    assert "version 2 cannot be loaded" in told
    assert worker.said("head not loaded") >= 1

    assert await cluster.version(300.0) == 3
    reply = await cluster.serving(3)
    assert all(290 < value < 310 for value in reply.json["data"])

    async def well() -> bool:
        ready = await cluster.call("GET", "/ready")
        return "cannot be loaded" not in json.dumps(ready.json)

    await until(well, "nothing is degraded any more")
