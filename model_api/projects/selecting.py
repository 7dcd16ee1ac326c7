"""Selecting models: what is asked for is checked at once, searched as a build is, and published.

The rows that come with it tell how good a model is; they are never learned, and only the
first few are kept, with the job.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import msgspec

from model_api.projects.basis import Basis
from model_api.projects.calls import Call
from model_api.projects.model_steps import Publish
from model_api.projects.predicting import columns_of
from model_api.projects.publication import kept_context, publication
from model_api.projects.reads import context_of
from tally.codec.frame.encodings import decompress
from tally.codec.frame.limits import Limits
from tally.engine.project import Project
from tally.errors import InvalidInput, TooLarge
from tally.models.base import Checkpoint, Progress, Statistics, untold
from tally.models.families import family
from tally.projects.model_records import check_model_id
from tally.selection.select import Selection, check, select
from tally.wire import texts
from tally.wire.contexts import MLContext, parse_ml_context
from tally.wire.json_body import decode_body
from tally.wire.status import Refused

SELECT, AUTO = "selectModel", "autoSelect"

_MAX_CONTEXT_BYTES = 2**20
_SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 256
_SHOWN_MEMBERS = 100


class _Body(msgspec.Struct):
    mlcontext: msgspec.Raw = msgspec.Raw(b"{}")
    dataframe: msgspec.Raw = msgspec.Raw(b"null")


class _Rows(msgspec.Struct, rename="camel"):
    attribute_names: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None


@dataclass(frozen=True, slots=True)
class SelectOrder:
    """A model that is to be selected.

    Attributes:
        model: its name.
        algo: the only family that is tried; empty for all of the task.
        task: what it is for; empty: what the targets let expect.
        context: attributes and parameters.
        call: with the rows alone as its body.
        limits: of the rows.
        digest: what tells it from another one with the same id.
        searches: it may take minutes.
    """

    model: str
    algo: str
    task: str
    context: MLContext
    call: Call = field(repr=False)
    limits: Limits
    digest: str
    searches: ClassVar[bool] = True

    @classmethod
    def of(cls, call: Call, limits: Limits) -> SelectOrder:
        """Return what a call asks for.

        Raises:
            InvalidInput, Refused: it cannot be made of any statistics; names the culprit.
        """
        automatic = call.verb.startswith(AUTO)
        for name in ("modelid",) if automatic else ("modelid", "algo"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        algo = "" if automatic else family(call.query["algo"]).name
        task = call.query.get("task", "") if automatic else ""
        body = decompress(call.body, call.content_encoding, limits.decompressed_bytes)
        parts = decode_body(body, _Body)
        context, frame = bytes(parts.mlcontext), bytes(parts.dataframe)
        if len(context) > _MAX_CONTEXT_BYTES:
            raise TooLarge("mlcontext", f"it is larger than {_MAX_CONTEXT_BYTES} bytes")
        if frame == b"null":
            raise InvalidInput(
                "dataframe",
                "it is missing: the body is {mlcontext, dataframe}, with rows to test on",
            )
        model = check_model_id(call.query["modelid"])
        told = f"select {model} {algo} {task} {automatic}\n".encode()
        return cls(
            model,
            algo,
            task,
            parse_ml_context(context),
            replace(call, query={}, media_type="", content_encoding="", body=frame),
            limits,
            hashlib.sha256(told + body).hexdigest(),
        )

    @property
    def details(self) -> Mapping[str, str]:
        """What the job tells of it: its parameters, and the first rows; all of it cut short."""
        asked = context_of(self.context)
        told = {
            "modelid": self.model,
            "algo": self.algo,
            "task": self.task,
            "targets": ",".join(asked.targets[:_SHOWN_MEMBERS]),
            "inputs": ",".join(asked.inputs[:_SHOWN_MEMBERS]),
            **dict(list(asked.params.items())[:_SHOWN_MEMBERS]),
        }
        rows = decode_body(self.call.body, _Rows)
        names = (rows.attribute_names or ())[:_SHOWN_MEMBERS]
        told["attributeNames"] = ",".join(_text(name).strip('"') for name in names)
        for place, row in enumerate((rows.data or ())[:_SHOWN_ROWS]):
            told[f"row_{place}"] = _text(row)
        return {
            key[:_SHOWN_CHARACTERS]: text[:_SHOWN_CHARACTERS] for key, text in told.items() if text
        }

    def check(self, project: Project) -> Selection:
        """Return what it means.

        Raises:
            InvalidInput: attributes, parameters or rows cannot be used.
            Refused: there are no rows.
        """
        statistics = Statistics.of(project)
        bases = {base for base in statistics.summary.schema.bases if base is not None}
        columns, rows = columns_of(
            self.call, self.limits, {*bases, statistics.partition_column or ""}
        )
        asked = context_of(self.context)
        return check(statistics, asked, columns, rows, algo=self.algo, task=self.task)

    def publish(
        self,
        basis: Basis,
        checkpoint: Checkpoint,
        at_ms: int,
        progress: Progress = untold,
    ) -> Publish:
        """Return the model that is best, ready to be published.

        Args:
            basis: what it is made from.
            checkpoint: called before each fit.
            at_ms: the date that it bears.
            progress: told of each set of inputs.

        Raises:
            FitFailed: the statistics allow none.
            InvalidInput, Refused: as `check`.
        """
        began_ns = time.perf_counter_ns()
        asked = self.check(basis.project)
        found = select(
            asked,
            sources=basis.sources,
            checkpoint=checkpoint,
            progress=progress,
            spent_s=lambda: (time.perf_counter_ns() - began_ns) / 1e9,
        )
        return publication(
            self.digest,
            self.model,
            found.model,
            kept_context(found.chosen, asked.statistics, found.parameters),
            basis=basis,
            began_ns=began_ns,
            at_ms=at_ms,
            fits=found.fits,
        )


def _text(json: msgspec.Raw) -> str:
    return bytes(json).decode(errors="replace")
