"""`anova`: do the means of several groups differ? One-way analysis of variance."""

from __future__ import annotations

import math

from tally.engine.explore.addressing import attribute, binary, expanded, wrong_count
from tally.engine.explore.arithmetic import divide
from tally.engine.explore.context import Context, Source
from tally.engine.explore.p_values import f_upper
from tally.engine.explore.samples import Sample
from tally.errors import InvalidInput


def anova(source: Source, context: Context) -> dict[str, float]:
    """Return the sums of squares between and within the groups, and F.

    Groups are the inputs, or one input over the rows in which each binary target is 1; of a
    single target, the rows in which it is 1 and those in which it is 0. A category as a target
    stands for its values. Groups without rows are left out.

    Raises:
        InvalidInput: there are too few attributes, or a target is not binary.
    """
    groups = [group for group in _groups(source, context) if group.n > 0]
    k, rows = len(groups), math.fsum(group.n for group in groups)
    between = 0.0
    if groups:
        # About the first mean: far from 0, the squares would leave nothing of the differences.
        above = [group.mean_above(groups[0]) for group in groups]
        mean = sum(g.n * a for g, a in zip(groups, above, strict=True)) / rows
        between = sum(g.n * (a - mean) ** 2 for g, a in zip(groups, above, strict=True))
    within = math.fsum(group.n * group.variance for group in groups)
    df_between, df_within = k - 1.0, rows - k
    mean_between, mean_within = divide(between, df_between), divide(within, df_within)
    f = divide(mean_between, mean_within)
    return {
        "SSb": between,
        "SSw": within,
        "Ssgamma": between + within,
        "Dfb": df_between,
        "Dfw": df_within,
        "Dfgamma": rows - 1,
        "MSb": mean_between,
        "MSw": mean_within,
        "F": f,
        "P": f_upper(f, df_between, df_within),
    }


def _groups(source: Source, context: Context) -> list[Sample]:
    summary, schema = source.summary, source.summary.schema
    named = context.inputs_are_names
    of = [attribute(schema, token, named=named) for token in context.inputs]
    if not context.targets:
        if len(of) < 2:
            raise wrong_count("inputAttributes", len(of), 2)
        return [Sample.of(summary, i) for i in of]
    if len(of) != 1:
        raise InvalidInput("inputAttributes", f"{len(of)} given; with targets, one is needed")
    targets = expanded(schema, context.targets, named=context.targets_are_names).values()
    by = [binary(schema, j) for j in targets]
    if len(by) == 1:
        return [Sample.where(summary, of[0], by[0], value) for value in (1, 0)]
    return [Sample.where(summary, of[0], j) for j in by]
