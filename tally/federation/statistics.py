"""Real statistics in the protocol: what a peer's local project is to it, and the rules for it."""

from __future__ import annotations

import hashlib

import msgspec

from tally.codec import project as codec
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.federation.contracts.checking import broken
from tally.federation.contracts.validation import PERCENT, parse
from tally.federation.effects import Contribution
from tally.federation.foreign import foreign
from tally.federation.messages import Leaf
from tally.federation.privacy import record_codec
from tally.federation.privacy.cells import too_few_in_cells
from tally.federation.privacy.gate import Standing, blocked
from tally.federation.privacy.minimum import fewest_rows
from tally.federation.privacy.reason import Blocked
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import Approved, Local
from tally.federation.wire_form import CELL_ROWS, wire_form
from tally.fusion import merging, sources


class StatisticsRules:
    """Privacy and contract on statistics; see `Rules`.

    Args:
        hipaa_key: under which this peer's patients are remembered; None without HIPAA rules.
        percent: what a whole is in the contract's percentages.
        partition: the column of the federation's partitions; empty: it has none.
        strict: ask for more rows; see `fewest_rows`.
    """

    def __init__(
        self,
        hipaa_key: bytes | None = None,
        percent: float = PERCENT,
        partition: str = "",
        *,
        strict: bool = False,
    ) -> None:
        self._hipaa_key = hipaa_key
        self._percent = percent
        self._partition = partition
        self._strict = strict

    def refusal(self, local: Local, approved: Approved | None) -> Blocked | None:
        """See `Rules`."""
        earlier = None
        if approved is not None:
            earlier = self._standing(approved.snapshot.payload, approved.record)
        if local.of_cells:
            last = None if approved is None else approved.snapshot.info.provenance
            gone = () if approved is None else approved.gone
            return too_few_in_cells(local.provenance, last, local.attrs, gone, strict=self._strict)
        now = self._standing(local.payload, local.record)
        return blocked(now, earlier, local.attrs, strict=self._strict)

    def contract_failures(self, payload: bytes, contract: tuple[str, ...]) -> tuple[str, ...]:
        """See `Rules`."""
        summary = foreign(payload, self._partition).summary
        return tuple(broken(parse(contract), summary, percent=self._percent))

    def _standing(self, payload: bytes, record: bytes) -> Standing:
        kept = record_codec.decode(record, hipaa_key=self._hipaa_key)
        return Standing.of(codec.decode(payload), kept)


def local_of(
    source: str,
    version: str,
    project: Project,
    record: LocalRecord,
    *,
    cell_rows: int = CELL_ROWS,
    histograms: bool = True,
    strict: bool = False,
    cells: tuple[Leaf, ...] | None = None,
) -> Local:
    """Return a local project as it would leave its peer.

    Args:
        source: uuid of the project.
        version: of its statistics.
        project: itself.
        record: kept beside it.
        cell_rows, histograms: see `wire_form`.
        strict: attributes that fewer rows have stay; see `fewest_rows`.
        cells: whose rows a fusion counts; None: the project has learned its rows itself.
    """
    attrs = len(project.summary.schema)
    fewest = fewest_rows(attrs, strict=strict)
    partition_rows = {value: part.turnover.rows for value, part in record.partitions.items()}
    form = wire_form(
        project,
        fewest=fewest,
        partition_rows=partition_rows,
        cell_rows=cell_rows,
        histograms=histograms,
    )
    shared = form.project
    # Too few rows leave all attributes out, and those of a partition none; neither is to make
    # fewer rows enough.
    if min([shared.row_count, *filter(None, partition_rows.values())]) >= fewest:
        attrs = len(shared.summary.schema)
    return Local(
        version=version,
        rows=shared.row_count,
        attrs=attrs,
        schema_hash=schema_hash(shared),
        learned=record.turnover.added,
        forgotten=record.turnover.removed,
        provenance=cells or (Leaf(source, version, shared.row_count),),
        of_cells=cells is not None,
        payload=codec.encode(shared),
        record=record_codec.encode(record),
        withheld=form.withheld,
    )


def schema_hash(project: Project) -> str:
    """Return what is equal for projects of the same attributes and types, in any order."""
    schema = project.summary.schema
    return hashlib.sha256(
        msgspec.json.encode(sorted(zip(schema.names, schema.types, strict=True)))
    ).hexdigest()


def merged(parts: tuple[Contribution, ...], first: Schema | None = None) -> merging.Merged:
    """Return the sum of what the peers contribute, the same bits at every peer.

    Args:
        parts: in the order of the peers.
        first: attributes that keep their indexes, which differ from peer to peer.

    Raises:
        CorruptState: a contribution is no statistics.
    """
    return merging.merge([_contribution(part) for part in parts], first)


def _contribution(part: Contribution) -> sources.Contribution:
    leaves = tuple(
        sources.Leaf(leaf.source_uuid, leaf.version, leaf.rows) for leaf in part.provenance
    )
    return sources.Contribution(part.peer, part.version, codec.decode(part.payload), leaves)
