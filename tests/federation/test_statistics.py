"""Federations over the rows of Iris: what peers build is what the pooled rows give."""

from __future__ import annotations

import numpy as np
import pytest

from tally.codec import project as codec
from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.federation import effects
from tally.federation.effects import Contribution
from tally.federation.errors import ExplorationRefused, UnknownPeer
from tally.federation.events import AllowExplore, NewContract
from tally.federation.simulation.pooled import federate
from tally.federation.simulation.statistics_site import PLAIN, StatisticsSite
from tally.federation.simulation.story import Chances, Story
from tally.federation.simulation.tables import dealt, read_table, share_of
from tally.federation.simulation.world import World
from tally.federation.statistics import StatisticsRules, merged
from tally.models.attributes import choose
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tests.federation.iris import BASE, IRIS, LEAST, base_columns, thirds


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
    ending = await federate(dealt(read_table(IRIS), 3), rounds=5, seed=seed)
    assert [(peer.rows, peer.same) for peer in ending.peers] == [(150, True)] * 3
    assert max(peer.error for peer in ending.peers) < 1e-9
    assert ending.right


CONTRACTS = (
    ("COUNT(sepal_length) >= 30",),
    ("MEAN(petal_length) > 3.5", "STDDEV(sepal_width) < 1"),
    (),
)


@pytest.mark.parametrize("seed", range(4, 10))
async def test_they_do_so_although_contracts_came_and_went(seed: int) -> None:
    ending = await federate(dealt(base_columns(), 4), rounds=8, seed=seed, contracts=CONTRACTS)
    assert [(peer.rows, peer.same) for peer in ending.peers] == [(150, True)] * 4
    assert max(peer.error for peer in ending.peers) < 1e-9


def with_patients() -> Frame:
    """Return Iris in another order, each row of a patient of its own."""
    frame = base_columns()
    order = np.random.default_rng(1).permutation(frame.rows)
    columns: list[Numbers | Texts] = [tuple(map(str, order))]
    columns += [frame.numbers(k)[order] for k in range(4)]
    return Frame(("mrn", *BASE), "PCCCC", tuple(columns), frame.rows)


async def story(
    seed: int, frame: Frame, key: bytes | None, options: Options = PLAIN
) -> tuple[World[StatisticsSite], set[str]]:
    """Return three peers after everything has failed, and why something was kept back."""

    def site(uuid: str) -> StatisticsSite:
        return StatisticsSite(uuid, share_of(frame, int(uuid, 16) - 1, 3), LEAST, key, options)

    world = World(seed, site, StatisticsRules(key, partition=options.partition or ""))
    await world.create(3)
    told = Story(world, LEAST, chances=Chances(leave=0.0, join=0.0))
    await told.suffer(8)
    await told.heal()
    entries = [entry for node in world.nodes for entry in node.state.syncs.entries]
    return world, {entry.split(": ", 1)[1] for entry in entries if "not shared" in entry}


async def has_its_own_and_what_is_shared(world: World[StatisticsSite]) -> bool:
    """Tell whether each peer has its own rows, and what the others may share, bit for bit."""
    for node in world.nodes:
        own = await node.site.freeze()
        parts = [Contribution(node.uuid, own.version, own.rows, own.provenance, own.payload)]
        for other in world.nodes:
            approved = other.state.approved
            if other is not node and approved is not None:
                shared, info = approved.snapshot, approved.snapshot.info
                parts.append(
                    Contribution(
                        other.uuid, info.version, info.rows, info.provenance, shared.payload
                    )
                )
        wanted = merged(tuple(sorted(parts, key=lambda part: part.peer))).project
        assert node.site.federated is not None
        if codec.encode(node.site.federated) != codec.encode(wanted):
            return False
    return True


async def test_under_hipaa_rules_a_peer_has_its_own_rows_and_what_the_others_may_share() -> None:
    kept_back = set()
    for seed in range(6):
        world, reasons = await story(seed, with_patients(), bytes(32))
        kept_back |= {reason.split(": ")[0] for reason in reasons}
        assert await has_its_own_and_what_is_shared(world), seed
    assert {"PATIENTS", "MIN_DELTA"} <= kept_back
    assert kept_back & {"T_TEST", "KS_TEST", "INTEGRAL_TEST"}


async def test_with_partitions_a_peer_has_its_own_rows_and_what_the_others_may_share() -> None:
    columns: list[Numbers | Texts] = [*base_columns().columns, ("a", "b") * 75]
    frame = Frame((*BASE, "half"), "CCCCS", tuple(columns), 150)
    kept_back = set()
    for seed in range(4):
        world, reasons = await story(seed, frame, None, Options("partition", {PARTITION: "half"}))
        kept_back |= reasons
        assert await has_its_own_and_what_is_shared(world), seed
        built = world.admin.site.federated
        assert built is not None
        assert built.partitions.keys() == {"a", "b"}
    assert any(reason.startswith("MIN_DELTA: partition") for reason in kept_back)


async def test_the_owner_reads_once_which_attributes_stay() -> None:
    x, rare = np.arange(60.0), np.full(60, np.nan)
    rare[:9:4] = 1.5
    frame = Frame(("x", "rare"), "CC", (x, rare), 60)
    world = World(1, lambda uuid: StatisticsSite(uuid, frame, 7), StatisticsRules())
    await world.create(2)
    for node in world.nodes:
        node.site.learn(20)
    await world.start_all()
    for _ in range(3):
        await world.run_for(60_000)
        world.admin.site.learn(10)
    entries = [entry for entry in world.admin.state.syncs.entries if "Attributes" in entry]
    assert entries == ["Attributes not shared, since too few rows have them: rare"]
    assert world.admin.state.counters.snd_count == 3


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
