"""Models of every family on a federation of the thirds of Iris, as each peer builds them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.codec.model import encode
from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.federation.effects import Contribution
from tally.federation.privacy.record import LocalRecord
from tally.federation.statistics import StatisticsRules, local_of, merged
from tally.models.base import Statistics
from tally.models.families import FAMILIES
from tests.property.models.cases import CASES, Case
from tests.property.models.test_every_family import assert_alike
from tests.unit.models.iris import SPECIES, TYPES, table

NAMES, VALUES = table()
PLAIN, PARTITIONED = Options(), Options("partition", {PARTITION: "species"})


def frame(rows: NDArray[np.float64]) -> Frame:
    """Return rows of Iris, and of which species each is."""
    columns: list[Numbers | Texts] = [np.ascontiguousarray(column) for column in rows.T]
    columns.append(tuple(SPECIES[k] for k in rows[:, 12:].argmax(axis=1)))
    return Frame((*NAMES, "species"), TYPES + "S", tuple(columns), len(rows))


def learned(options: Options, rows: NDArray[np.float64]) -> Project:
    draft = Project.empty(options).draft()
    draft.learn(frame(rows))
    return draft.done()


def views(options: Options) -> tuple[Project, ...]:
    """Return the federated project of each of three peers, which has its own attributes first."""
    parts = []
    for peer in range(3):
        rows, name = VALUES[peer::3], f"{peer:032x}"
        record = LocalRecord.empty(hipaa_key=None).learned(frame(rows), options)
        one = local_of(name, "1-1", learned(options, rows), record)
        assert (
            StatisticsRules(partition=options.partition or "").contract_failures(one.payload, ())
            == ()
        )
        parts.append(Contribution(name, "1-1", one.rows, one.provenance, one.payload))
    schemas = (learned(options, VALUES[peer::3]).summary.schema for peer in range(3))
    found = [merged(tuple(parts), schema) for schema in schemas]
    assert all((one.project.row_count, one.refused) == (150, {}) for one in found)
    return tuple(one.project for one in found)


FEDERATED = {False: views(PLAIN), True: views(PARTITIONED)}


def test_every_family_federates() -> None:
    assert {case.family for case in CASES.values()} == set(FAMILIES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_peer_builds_the_model_of_the_whole_and_the_same_bits(case: Case) -> None:
    models = [case.model(Statistics.of(view)) for view in FEDERATED[case.partitions]]
    assert len({encode(model) for model in models}) == 1
    whole = learned(PARTITIONED if case.partitions else PLAIN, VALUES)
    assert_alike(case.model(Statistics.of(whole)), models[0], FAMILIES[case.family].exact)
