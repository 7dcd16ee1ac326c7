"""Answers for those who ask the same again: a version's answer never changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker said; the same for ever for one version and question."""

    version: int
    body: bytes


@dataclass
class Cache:
    """Answers by path, least recently used out first, bounded in bytes."""

    limit_bytes: int
    size_bytes: int = 0
    entries: OrderedDict[str, Answer] = field(default_factory=OrderedDict)

    def get(self, path: str) -> Answer | None:
        """Return what was answered, None if that is not known any more."""
        answer = self.entries.get(path)
        if answer is not None:
            self.entries.move_to_end(path)
        return answer

    def put(self, path: str, answer: Answer) -> None:
        """Keep an answer, unless it would take the place of too many others."""
        if len(answer.body) > self.limit_bytes // 8 or path in self.entries:
            return
        self.entries[path] = answer
        self.size_bytes += len(path) + len(answer.body)
        while self.size_bytes > self.limit_bytes:
            old, dropped = self.entries.popitem(last=False)
            self.size_bytes -= len(old) + len(dropped.body)
