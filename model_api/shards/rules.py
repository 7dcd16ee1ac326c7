"""Which calls on a sharded project go where."""

from __future__ import annotations

from model_api.fusion.rules import FRESH, KNOWN
from model_api.fusion.rules import INFO as ASKED

INFO = frozenset({ASKED, KNOWN, "modelInfo"})
"""Verbs that are answered also while more rows are forgotten than learned."""

READS = FRESH | INFO | {"export", "transform"}
"""Verbs that are answered from the sum of all shards as they are now."""

SPREAD = frozenset({"freeze", "unfreeze", "save", "unload"})
"""Verbs that every shard is asked, and then the project itself."""

ROWS = frozenset({"learn", "merge"})
"""Verbs that go to the shard of their batch; brokers send them there themselves."""

REFUSED = frozenset({"learnpredict"})
"""Verbs that a sharded project does not have."""
