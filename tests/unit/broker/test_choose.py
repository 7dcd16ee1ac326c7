from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.routing.choose import choose, everyone
from tally.ids import ModelUuid, NodeId
from tally.routing.table import Table
from tally.wire.messages import Announcement, Node, Serving
from tests.unit.broker.acts import UUID

OTHER = ModelUuid("0b" * 16)

servings = st.dictionaries(
    st.sampled_from([UUID, OTHER]),
    st.builds(Serving, st.just("m"), st.integers(1, 5), st.integers(1, 5)),
)
tables = st.dictionaries(
    st.sampled_from([NodeId(f"h_{port}") for port in range(6)]),
    st.builds(Node, st.just("h"), st.just(1), st.just(0), servings),
).map(lambda nodes: Table(nodes=nodes))


@given(tables, st.integers(0, 6))
def test_the_highest_generation_from_the_floor_on_is_chosen(table: Table, floor: int) -> None:
    target = choose(table, UUID, floor)
    offered = {
        (node.serving[UUID].generation, node.serving[UUID].version)
        for node in table.nodes.values()
        if UUID in node.serving and node.serving[UUID].generation >= floor
    }
    if target is None:
        assert not offered
    else:
        assert (target.generation, target.version) == max(offered)
        assert target.generation >= floor


@given(tables)
def test_every_node_chosen_serves_what_was_chosen_and_none_is_left_out(table: Table) -> None:
    target = choose(table, UUID)
    if target is None:
        return
    wanted = (target.generation, target.version)
    able = {
        node_id
        for node_id, node in table.nodes.items()
        if UUID in node.serving
        and (node.serving[UUID].generation, node.serving[UUID].version) == wanted
    }
    assert set(target.nodes) == able
    assert len(target.nodes) == len(able) > 0


@given(tables, st.integers(0, 6), st.sets(st.sampled_from([NodeId(f"h_{n}") for n in range(6)])))
def test_without_some_workers_the_choice_is_as_if_they_were_not_there(
    table: Table, floor: int, without: set[NodeId]
) -> None:
    left = Table(nodes={n: node for n, node in table.nodes.items() if n not in without})
    assert choose(table, UUID, floor, without) == choose(left, UUID, floor)


@given(tables, st.integers(1, 5))
def test_a_version_by_number_is_asked_of_everyone_beginning_with_who_serves_it(
    table: Table, version: int
) -> None:
    order = everyone(table, UUID, version)
    assert sorted(order) == sorted(table.nodes)
    serves = [
        UUID in table.nodes[n].serving and table.nodes[n].serving[UUID].version == version
        for n in order
    ]
    assert serves == sorted(serves, reverse=True)


def test_a_rollback_is_chosen_over_a_higher_version_of_an_older_generation() -> None:
    nodes = {
        NodeId("h_1"): Node("h", 1, 0, {UUID: Serving("m", 9, 9)}),
        NodeId("h_2"): Node("h", 2, 0, {UUID: Serving("m", 3, 10)}),
    }
    target = choose(Table(nodes=nodes), UUID)
    assert target is not None
    assert (target.version, target.nodes) == (3, ("h_2",))


def test_a_name_is_known_by_its_announcement_first_and_by_workers_without_one() -> None:
    nodes = {NodeId("h_1"): Node("h", 1, 0, {OTHER: Serving("m", 1, 1)})}
    assert Table(nodes=nodes).model("m") == OTHER
    head = Announcement(1, "", "m", UUID, 0, 1)
    assert Table(nodes=nodes, heads={"m": head}).model("m") == UUID
    assert Table(nodes=nodes).model("n") is None
