"""Finding a path, as it was sent, in the table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from broker.edge.symetry.routes import REST, ROUTES, Route

_MAX_SEGMENTS = 8
# Never a project, since calls are, or will be, called so; what is not there yet is not found.
_NO_PROJECTS = frozenset(
    {"awsinfo", "create", "createJoin", "dataDrift", "dsbrowse", "fusion", "info", "list"}
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads.

    Attributes:
        cid: customer in the path, decoded.
        routes: what there is at the path, by method; empty: nothing.
        values: what stands for `{pid}` and the like, decoded.
    """

    cid: str
    routes: Mapping[str, Route]
    values: Mapping[str, str]

    def route(self, method: str) -> Route | None:
        """Return the line that answers a method; HEAD is answered where nothing is changed."""
        if method == "HEAD":
            found = self.routes.get("GET")
            return found if found is not None and found.safe else None
        return self.routes.get(method)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the path knows, in order."""
        known = {*self.routes, "OPTIONS"}
        if self.route("HEAD"):
            known.add("HEAD")
        return tuple(sorted(known))


def find(raw_path: bytes) -> Found:
    """Return where a path leads, as sent: literal segments win over `{...}`, case counts.

    Example:
        >>> found = find(b"/symetry/rest/c1/projects/my%20proj/info/")
        >>> found.cid, found.values["pid"], found.methods
        ('c1', 'my proj', ('GET', 'HEAD', 'OPTIONS'))
    """
    below = raw_path.removeprefix(REST.encode())
    segments = [_decoded(part) for part in below.split(b"/", _MAX_SEGMENTS + 1)]
    if below == raw_path or len(segments) > _MAX_SEGMENTS:
        return Found("", {}, {})
    if segments[-1] == "":
        segments.pop()  # of the slash at the end
    cid, *rest = segments or [""]
    pattern = _most_literal(rest)
    if not cid or pattern is None:
        return Found(cid, {}, {})
    pairs = zip(pattern, rest, strict=True)
    values = {name[1:-1]: given for name, given in pairs if _open(name)}
    return Found(cid, _BY_PATTERN[pattern], values)


def _most_literal(segments: list[str]) -> tuple[str, ...] | None:
    fits = [pattern for pattern in _BY_PATTERN if _matches(pattern, segments)]
    return min(fits, key=lambda pattern: [_open(name) for name in pattern], default=None)


def _matches(pattern: tuple[str, ...], segments: list[str]) -> bool:
    return len(pattern) == len(segments) and all(
        (_open(name) and given != "" and not (name == "{pid}" and given in _NO_PROJECTS))
        or name == given
        for name, given in zip(pattern, segments, strict=True)
    )


def _open(name: str) -> bool:
    return name.startswith("{")


def _decoded(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode(errors="replace")


def _by_pattern(routes: Iterable[Route]) -> Mapping[tuple[str, ...], Mapping[str, Route]]:
    found: dict[tuple[str, ...], dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.segments, {})[route.method] = route
    return found


_BY_PATTERN = _by_pattern(ROUTES)
