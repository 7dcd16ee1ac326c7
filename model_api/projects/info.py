"""What is told of a project besides its statistics."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from model_api.fusion.told import fusion_params
from model_api.projects.home import Home
from tally.projects.records import Use
from tally.wire.entities import ProjectInfo

_CELLS = "cells"
_FROZEN = "sml_project_is_freeze"


def project_info(home: Home, *, loaded: bool = True) -> ProjectInfo:
    """Return `smlInfo`.

    Args:
        home: the project.
        loaded: whether it was in memory before somebody asked.
    """
    head, project = home.head, home.project
    schema, options = project.summary.schema, project.options
    return ProjectInfo(
        pid=head.pid,
        type=head.options.kind,
        creation_date=head.created_ms,
        last_modification_date=home.modified_ms,
        loaded=loaded,
        persisted=head.persisted,
        histogram_enabled=project.histograms is not None,
        auto_save=head.options.autosave,
        attribute_names=list(schema.names),
        attribute_indexes=list(range(len(schema.names))),
        attribute_types=list(schema.types),
        models_list=home.models.names,
        model_type_list=[home.models.current(name).family for name in home.models.names],
        partition_column=options.partition or msgspec.UNSET,
        params={
            **head.options.params,
            _FROZEN: "true" if head.frozen else "false",
            **fusion_params(home),
            **({} if home.federated is None else home.federated.told),
            **({_CELLS: str(head.options.cells)} if head.options.cells else {}),
        },
        fusion_cell_info=home.seen.cell_info or msgspec.UNSET,
        fusion_cell_info_list=home.seen.cell_info or msgspec.UNSET,
    )


def use_lines(uses: Iterable[Use]) -> list[str]:
    """Return the log of learn and forget: one JSON text for each kind of call.

    Example:
        >>> use = Use(client="c", op="learn", status="OK", names=("x.1",), types="C", count=2)
        >>> use_lines([use])[0][:44]
        '{"client_id":"c","client_request_type":"lear'
    """
    return [msgspec.json.encode(_members(use)).decode() for use in uses]


def _members(use: Use) -> dict[str, str]:
    return {
        "client_id": _plain(use.client),
        "client_request_type": use.op,
        "client_request_reponse_code": use.status,  # spelled so in the protocol
        "client_request_df_attributes_names": ",".join(map(_plain, use.names)),
        "client_request_df_attributes_types": ",".join(use.types),
        "client_request_process_time": str(use.process_ms),
        "client_request_count": str(use.count),
        "client_request_df_attributes_numrows_total": str(use.rows),
    }


def _plain(name: str) -> str:
    return name.replace(".", "_")
