"""Federations over the rows of Iris: what peers build is what the pooled rows give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tally.codec import project as codec
from tally.engine.frame import Frame
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.federation import effects
from tally.federation.errors import ExplorationRefused, UnknownPeer
from tally.federation.events import AllowExplore, NewContract
from tally.federation.simulation.pooled import federate
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.tables import read_table, share_of
from tally.federation.simulation.world import World
from tally.federation.statistics import StatisticsRules
from tally.models.attributes import choose
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit

IRIS = Path(__file__).parents[1] / "data" / "iris" / "Iris_rtlm.csv"
BASE = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def base_columns() -> Frame:
    frame = read_table(IRIS)
    places = [frame.names.index(name) for name in BASE]
    return Frame(BASE, "CCCC", tuple(frame.columns[k] for k in places), frame.rows)


async def thirds(**settings: Any) -> World[StatisticsSite]:
    """Return a federation of three whose peers have learned a third each."""
    frame = base_columns()
    world = World(
        1,
        lambda uuid: StatisticsSite(uuid, share_of(frame, int(uuid, 16) - 1, 3), 9),
        StatisticsRules(),
        **settings,
    )
    await world.create(3)
    for node in world.nodes:
        node.site.learn(50)
    await world.start_all()
    await world.run_for(90_000)
    return world


async def test_every_peer_builds_the_model_of_the_pooled_rows_bit_for_bit() -> None:
    world = await thirds(encrypt=True)
    models, encoded = [], set()
    for node in world.nodes:
        built = node.site.federated
        assert built is not None
        assert built.row_count == 150
        encoded.add(codec.encode(built))
        assert node.state.syncs.entries == ("#peers:2",)
        assert node.state.errors.entries == ()
        line, statistics = family("mlr"), Statistics.of(built)
        chosen = choose(line, statistics, list(BASE[1:]), [BASE[0]])
        models.append(fit(line, statistics, chosen, {}))
    assert len(encoded) == 1
    tables = [np.asarray(model.tables["coefficients"]["coefficient"], float) for model in models]
    wanted = [0.6548642427853542, 0.7110629145526262, -0.5625678605519066, 1.8450608032166143]
    np.testing.assert_allclose(tables[0], wanted, rtol=1e-9)
    for table in tables[1:]:
        np.testing.assert_array_equal(table, tables[0])


@pytest.mark.parametrize("seed", range(4))
async def test_they_do_so_after_everything_has_failed(seed: int) -> None:
    found = await federate(read_table(IRIS), peers=3, rounds=5, seed=seed)
    assert [(peer.rows, peer.same) for peer in found] == [(150, True)] * 3
    assert max(peer.error for peer in found) < 1e-9


async def test_a_real_contract_is_held_against_real_statistics() -> None:
    world = await thirds()
    await world.admin.up.tell(NewContract(world.timeline.now_ms, ("COUNT(sepal_length) >= 500",)))
    await world.run_for(60_000)
    world.nodes[1].site.forget(10)
    await world.run_for(60_000)
    sender = world.nodes[1].state
    assert sender.counters.snd_contract_error == 1
    assert "COUNT(sepal_length) < 500" in sender.errors.entries[-1]


async def test_a_peer_is_explored_as_it_explores_itself_and_may_refuse() -> None:
    world = await thirds()
    asking, asked = world.nodes[:2]
    context = {"features": ["sepal_width"]}

    async def ask() -> effects.Answered:
        return await world.served(asking.up.explore(asked.uuid, "MEAN", context), asked)

    answer = await ask()
    assert answer.ok
    own = share_of(base_columns(), 1, 3).numbers(1).mean()
    assert answer.result == pytest.approx(own, rel=1e-12)

    await asked.up.tell(AllowExplore(False))
    refused = await ask()
    assert not refused.ok
    assert refused.error == f"Peer [{asked.uuid}] does not allow exploration"
    await world.run_for(60_000)
    with pytest.raises(ExplorationRefused, match="does not allow exploration"):
        await ask()
    with pytest.raises(UnknownPeer, match=r"^Unknown peer \[nobody\]$"):
        await asking.up.explore("nobody", "MEAN", context)


def test_statistics_of_another_kind_are_not_taken_from_a_peer() -> None:
    windowed = Project.empty(Options("cpu", {"sml_project_rolling_window_size": "9"}))
    partitioned = Project.empty(Options("partition", {PARTITION: "species"}))
    rules = StatisticsRules()
    for payload in (codec.encode(windowed), codec.encode(partitioned), b"noise", b""):
        with pytest.raises(CorruptState):
            rules.contract_failures(payload, ())
    assert rules.contract_failures(codec.encode(Project.empty(Options("cpu"))), ()) == ()
