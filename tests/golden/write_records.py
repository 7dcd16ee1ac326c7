"""Writes the golden privacy records that are missing.

Run `python -m tests.golden.write_records`. A file that exists is never written again; a new format
of the bytes adds files of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tally.engine.frame import Frame
from tally.engine.options import PARTITION, Options
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.record_codec import encode

HERE = Path(__file__).parent
KEY = bytes(range(32))


def example() -> LocalRecord:
    """Return the record of a project without partitions."""
    ids = tuple(f"patient-{k % 7}" for k in range(40))
    x, far = np.arange(40.0) / 8, 1e9 + np.arange(40.0) % 3
    frame = Frame(("mrn", "x", "far"), "PCC", (ids, x, far), 40)
    many = Frame(("mrn", "x"), "PC", (("z",) * 5000, np.arange(5000.0) ** 2), 5000)
    first = Frame(("mrn", "x"), "PC", (ids[:3], x[:3]), 3)
    options = Options()
    record = LocalRecord.empty(hipaa_key=KEY).learned(frame, options)
    return record.learned(many, options).forgot(first, options)


def partitioned() -> LocalRecord:
    """Return the record of a project with two partitions, of which one has forgotten rows."""
    options = Options("partition", {PARTITION: "ward"})
    ids = tuple(f"patient-{k % 7}" for k in range(60))
    wards, x = ("North", "south") * 30, np.arange(60.0) / 8
    frame = Frame(("mrn", "ward", "x"), "PSC", (ids, wards, x), 60)
    first = Frame(("mrn", "ward", "x"), "PSC", (ids[:1], wards[:1], x[:1]), 1)
    return LocalRecord.empty(hipaa_key=KEY).learned(frame, options).forgot(first, options)


def main() -> None:
    """Write what is missing."""
    for version, record in ((1, example()), (2, partitioned())):
        path = HERE / f"federation.v{version}.record"
        if not path.exists():
            path.write_bytes(encode(record))


if __name__ == "__main__":
    main()
