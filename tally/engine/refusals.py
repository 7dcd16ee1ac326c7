"""What cannot be taken away, because it was never counted."""

from __future__ import annotations

import numpy as np

from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.engine.sums import Sums
from tally.errors import InvalidInput


def known(rows: Rows, schema: Schema) -> Rows:
    """Return the rows without attributes that are unknown, of which they count nothing.

    Raises:
        InvalidInput: they have values of an attribute that was never learned.
    """
    kept = [name in schema.index for name in rows.names]
    if all(kept):
        return rows
    for k, (name, base) in enumerate(zip(rows.names, rows.bases, strict=True)):
        if kept[k]:
            continue
        column = rows.values[:, k]
        # A new value of a known category was 0 in every row.
        counted = (column == 1) if base in schema.members else ~np.isnan(column)
        if counted.any():
            raise InvalidInput(name, f"{counted.sum()} rows would be forgotten, but 0 were learned")
    return Rows(
        tuple(name for name, keep in zip(rows.names, kept, strict=True) if keep),
        "".join(kind for kind, keep in zip(rows.types, kept, strict=True) if keep),
        tuple(base for base, keep in zip(rows.bases, kept, strict=True) if keep),
        rows.values[:, kept],
    )


def refuse_negative(sums: Sums, change: Sums) -> None:
    """Check that no count of `sums` is below zero once `change` is taken away.

    Both are of the same schema. Counts are rows in which two attributes are present, and for
    binary ones also the four combinations of their values.

    Raises:
        InvalidInput: it names the attributes.
    """
    schema = sums.schema
    left = sums.n - change.n
    if (left < 0).any():
        g, h = (int(group) for group in np.argwhere(left < 0)[0])
        first, second = (schema.names[schema.groups.index(group)] for group in (g, h))
        also = f" together with {second!r}" if second != first else ""
        raise InvalidInput(
            first,
            f"{change.n[g, h]:g} rows would be forgotten, but {sums.n[g, h]:g} were learned{also}",
        )
    b = np.flatnonzero(schema.rank < 0)
    groups = schema.group_of[b]
    n = left[np.ix_(groups, groups)]
    ones = (sums.s[b] - change.s[b])[:, groups]
    both = np.tril(sums.pairs[np.ix_(b + 1, b)] - change.pairs[np.ix_(b + 1, b)])
    cells = (both, np.tril(ones - both), np.tril(ones.T - both), np.tril(n - ones - ones.T + both))
    for cell in cells:
        if (cell < 0).any():
            i, j = (schema.names[b[at]] for at in np.argwhere(cell < 0)[0])
            other = f" and of {j!r}" if i != j else ""
            raise InvalidInput(
                i, f"rows with a value of it{other} would be forgotten that were never learned"
            )
