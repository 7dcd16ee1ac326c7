"""Models of every family on a federation of the thirds of Iris, as each peer builds them."""

from __future__ import annotations

import numpy as np
import pytest

from tally.codec.model import encode
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.federation.effects import Contribution
from tally.federation.privacy.record import LocalRecord
from tally.federation.statistics import local_of, merged
from tally.models.base import Statistics
from tally.models.families import FAMILIES
from tests.property.models.cases import CASES, Case
from tests.property.models.test_every_family import assert_alike
from tests.unit.models.iris import TYPES, summary_of, table

NAMES, VALUES = table()
KNOWN = dict(zip(NAMES, TYPES, strict=True))
SHARED = {name: case for name, case in CASES.items() if not case.partitions}


def sent(number: int, rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Contribution:
    """Return what a peer sends of these rows."""
    project = Project(Options(), summary_of(rows), len(rows), KNOWN)
    local = local_of(f"{number:032x}", "1-1", project, LocalRecord.empty(hipaa_key=None))
    return Contribution(f"{number:032x}", "1-1", local.rows, local.provenance, local.payload)


THIRDS = tuple(sent(k, VALUES[k::3]) for k in range(3))


def at(peer: int) -> Project:
    """Return the federated project of a peer, which has its own attributes first."""
    found = merged(THIRDS, summary_of(VALUES[peer::3]).schema)
    assert (found.project.row_count, found.refused) == (150, {})
    return found.project


@pytest.mark.parametrize("case", SHARED.values(), ids=SHARED)
def test_every_peer_builds_the_model_of_the_whole_and_the_same_bits(case: Case) -> None:
    models = [case.model(Statistics.of(at(peer))) for peer in range(3)]
    assert len({encode(model) for model in models}) == 1
    assert_alike(case.model(), models[0], FAMILIES[case.family].exact)


def test_all_families_but_one_need_no_partitions() -> None:
    assert set(FAMILIES) - {case.family for case in SHARED.values()} == {"mqda"}


def test_what_needs_partitions_does_not_federate() -> None:
    given = CASES["mqda"].statistics(VALUES[::3])
    options = Options("partition", {PARTITION: "species"})
    project = Project(options, given.summary, 50, KNOWN, given.partitions)
    with pytest.raises(InvalidInput, match="partitions, sequences and hashed categories"):
        local_of("0" * 32, "1-1", project, LocalRecord.empty(hipaa_key=None))
