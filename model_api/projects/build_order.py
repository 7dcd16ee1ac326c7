"""The orders of `build` and `reduce`, read and checked: what is made, and from which attributes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from model_api.projects.basis import Basis
from model_api.projects.calls import Call
from model_api.projects.model_steps import Publish
from model_api.projects.publication import kept_context, publication
from model_api.projects.reads import context_of
from tally.engine.project import Project
from tally.errors import InvalidInput, TooLarge
from tally.models import fitting, reduction
from tally.models.attributes import Chosen, choose
from tally.models.base import Checkpoint, Progress, Statistics, untold
from tally.models.families import Family, family
from tally.models.parameters import Parameters
from tally.models.reduction import Reduction
from tally.projects.model_records import ModelVersion, check_model_id
from tally.wire import texts
from tally.wire.contexts import MLContext, parse_ml_context
from tally.wire.status import Refused

_MAX_CONTEXT_BYTES = 2**20
_MOST_ROUNDS = 1000
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Order:
    """A model that is asked for.

    Attributes:
        model: its name.
        family: its algorithm.
        context: attributes and parameters.
        body: the same, as it was sent.
        reduce: inputs that others determine are left out.
        search: only the inputs that matter are used; None: all.
        again: it makes once more what is served under that name, whatever that is by then.
    """

    model: str
    family: Family
    context: MLContext
    body: bytes
    reduce: bool
    search: Reduction | None = None
    again: bool = False

    @classmethod
    def of(cls, call: Call) -> Order:
        """Return what a call asks for.

        Raises:
            InvalidInput, Refused: it cannot be made of any statistics; names the culprit.
        """
        for name in ("modelid", "algo"):
            if not call.query.get(name):
                raise Refused(texts.missing_parameter(name))
        if len(call.body) > _MAX_CONTEXT_BYTES:
            raise TooLarge("body", f"it is larger than {_MAX_CONTEXT_BYTES} bytes")
        return cls(
            check_model_id(call.query["modelid"]),
            family(call.query["algo"]),
            parse_ml_context(call.body or b"{}"),
            call.body or b"{}",
            call.flag("svdreduce", default=False),
            _search(call) if call.verb.startswith("reduce") else None,
        )

    @classmethod
    def rebuilding(cls, version: ModelVersion, context: bytes) -> Order:
        """Return the order that makes a version again from newer statistics.

        Args:
            version: the served one.
            context: by which it was made.

        Raises:
            InvalidInput: the context is no longer one.
        """
        return cls(
            version.id,
            family(version.family),
            parse_ml_context(context),
            context,
            version.reduce,
            again=True,
        )

    @property
    def digest(self) -> str:
        """What tells it from another one with the same id."""
        if self.again:
            return rebuild_digest(self.model)
        told = f"build {self.model} {self.family.name} {self.reduce} {self.search}\n".encode()
        return hashlib.sha256(told + self.body).hexdigest()

    @property
    def searches(self) -> bool:
        """Whether it may take minutes."""
        return self.search is not None

    @property
    def details(self) -> Mapping[str, str]:
        """What the job tells of it: nothing but what every job does."""
        return {}

    def check(self, project: Project) -> Chosen:
        """Return the attributes that it means.

        Raises:
            InvalidInput: there are none such, the family wants others, or a parameter is wrong.
        """
        asked = context_of(self.context)
        if self.search is not None:
            reduction.check(self.family)
        chosen = choose(
            self.family,
            Statistics.of(project),
            asked.inputs,
            asked.targets,
            inputs_are_names=asked.inputs_are_names,
            targets_are_names=asked.targets_are_names,
        )
        fitting.check(self.family, asked.params, len(chosen.inputs))
        return chosen

    def publish(
        self,
        basis: Basis,
        checkpoint: Checkpoint,
        at_ms: int,
        progress: Progress = untold,
    ) -> Publish:
        """Return the model, ready to be published.

        Args:
            basis: what it is made from.
            checkpoint: called now and then.
            at_ms: the date that it bears.
            progress: told by a search how far it is.

        Raises:
            FitFailed: the statistics do not allow it.
            InvalidInput: as `check`.
        """
        began_ns = time.perf_counter_ns()
        checkpoint()
        statistics, parameters = Statistics.of(basis.project), context_of(self.context).params
        chosen, body, fits = self.check(basis.project), self.body, 1
        if self.search is not None:
            found = reduction.reduce(
                self.family, statistics, chosen, parameters, self.search, checkpoint, progress
            )
            chosen, fits = found.chosen, found.fits
            body = kept_context(chosen, statistics, parameters)
        model = fitting.fit(
            self.family,
            statistics,
            chosen,
            parameters,
            reduce=self.reduce,
            sources=basis.sources,
            checkpoint=checkpoint,
        )
        return publication(
            self.digest,
            self.model,
            model,
            body,
            basis=basis,
            began_ns=began_ns,
            at_ms=at_ms,
            fits=fits,
            reduce=self.reduce,
        )


def _search(call: Call) -> Reduction:
    """Return how inputs are chosen.

    Raises:
        InvalidInput: a parameter cannot be used.
    """
    given = Parameters({key: call.query.get(key, "") for key in ("delta", "numIterations")})
    if (heuristic := call.query.get("heuristic", "") or _DEFAULT) != _DEFAULT:
        raise InvalidInput("heuristic", f"{heuristic[:40]!r} is unknown; there is {_DEFAULT}")
    return Reduction(
        given.number("delta", Reduction().delta, low=1e-12),
        given.whole("numIterations", Reduction().rounds, 1, _MOST_ROUNDS),
    )


def rebuild_digest(model: str) -> str:
    """Return the digest of building what is served under a name again."""
    return hashlib.sha256(f"rebuild {model}\n".encode()).hexdigest()
