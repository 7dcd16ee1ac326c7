"""The workers' side of the brokers' calls about models: any predicts, the home does the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from model_api.projects.building import Builder
from model_api.projects.calls import Answer, Call
from model_api.projects.homes import Homes
from model_api.projects.learning import LearnPredict
from model_api.projects.metrics import PREDICTIONS
from model_api.projects.model_cache import ModelCache
from model_api.projects.model_exports import opened_model, sealed_model
from model_api.projects.model_info import model_info, model_versions
from model_api.projects.model_steps import Remove, RollBack
from model_api.projects.predicting import predicted
from model_api.projects.served import Served
from tally.clock import Clock
from tally.models.code import code
from tally.projects.model_records import check_model_id
from tally.projects.registry import now_ms
from tally.wire import envelope, texts
from tally.wire.envelope import TEXT, Values
from tally.wire.messages import MODEL_VERSION
from tally.wire.projects import JOB_DETAILS, STOP, WORK, Stopped, Working
from tally.wire.status import Refused

_ENCODER = msgspec.json.Encoder()


class ModelVerbs:
    """Answers them.

    Args:
        homes: the projects at home here.
        clock: for the dates of models.
    """

    def __init__(self, homes: Homes, clock: Clock) -> None:
        self._homes = homes
        self._builder = Builder(homes, clock)
        self._models = ModelCache(homes)
        self.served = Served(homes, self._models)
        """Models of all projects, whoever's home this is."""
        self._learning = LearnPredict(homes, self._models, self._builder)
        self.verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = {
            "buildCheck": self._check,
            "build": self._build,
            "reduceCheck": self._check,
            "reduce": self._build,
            "selectModelCheck": self._check,
            "selectModel": self._build,
            "autoSelectCheck": self._check,
            "autoSelect": self._build,
            WORK: self._again,
            STOP: self._stop,
            "predict": self._predict,
            "modelInfo": self._info,
            "modelVersions": self._versions,
            "modelDelete": self._delete,
            "modelRollback": self._roll_back,
            "modelCode": self._code,
            "modelExport": self._export,
            "modelImport": self._import,
            "learnpredict": self._learn_predict,
        }

    async def _check(self, call: Call) -> Answer:
        return _values({JOB_DETAILS: await self._builder.check(call)})

    async def _build(self, call: Call) -> Answer:
        return _ended_or(await self._builder.work(call))

    async def _again(self, call: Call) -> Answer:
        return _ended_or(await self._builder.again(call))

    async def _stop(self, call: Call) -> Answer:
        return Answer(_ENCODER.encode(Stopped(await self._builder.stop(call))))

    async def _predict(self, call: Call) -> Answer:
        version, model = await self.served.current(call.project, _named(call))

        def run() -> bytes:
            return _ENCODER.encode(predicted(model, call, self._homes.limits.frame))

        body = await self._homes.threads.run(run)
        PREDICTIONS.inc()
        return Answer(body, headers=((MODEL_VERSION, str(version.version)),))

    async def _info(self, call: Call) -> Answer:
        name = _named(call)
        home = await self._homes.ask(call.project, call.suspects)
        version, model = await self._models.current(home, name)

        def run() -> bytes:
            return _ENCODER.encode(envelope.model_info(model_info(home, version, model)))

        return Answer(await self._homes.threads.run(run))

    async def _versions(self, call: Call) -> Answer:
        name = _named(call)
        home = await self._homes.ask(call.project, call.suspects)
        return _values(model_versions(home, name))

    async def _code(self, call: Call) -> Answer:
        name = _named(call)
        home = await self._homes.ask(call.project, call.suspects)
        _, model = await self._models.current(home, name)
        text = code(model, name, call.query.get("language", "") or "java")
        return _values({TEXT: text})

    async def _export(self, call: Call) -> Answer:
        name = _named(call)
        home = await self._homes.ask(call.project, call.suspects)
        version, data = await self._models.stored(home, name)
        text = await self._homes.threads.run(sealed_model, version, data)
        return _values({TEXT: text})

    async def _import(self, call: Call) -> Answer:
        name = check_model_id(_named(call))
        limit = self._homes.limits.body_bytes
        now = now_ms(self._homes.clock)
        made = await self._homes.threads.run(opened_model, call.body, name, limit, now)
        await self._homes.change(call.project, made, call.batch_id, call.suspects)
        return Answer()

    async def _learn_predict(self, call: Call) -> Answer:
        return await self._learning.answer(call, _named(call))

    async def _delete(self, call: Call) -> Answer:
        name = _named(call)
        step = Remove(f"remove {name}", name)
        await self._homes.change(call.project, step, call.batch_id, call.suspects)
        return Answer()

    async def _roll_back(self, call: Call) -> Answer:
        name, text = _named(call), call.query.get("to", "").strip()
        if text and not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text)):
            raise Refused(f"Invalid parameter [to]: [{text[:40]}]")
        step = RollBack(f"rollback {name} {text}", name, int(text or 0))
        await self._homes.change(call.project, step, call.batch_id, call.suspects)
        home = await self._homes.ask(call.project, call.suspects)
        return _values(model_versions(home, name))


def _named(call: Call) -> str:
    if not (name := call.query.get("modelid", "")):
        raise Refused(texts.missing_parameter("modelid"))
    return name


def _ended_or(working: Working | None) -> Answer:
    return Answer() if working is None else Answer(_ENCODER.encode(working), status=202)


def _values(values: Values) -> Answer:
    return Answer(_ENCODER.encode(values))
