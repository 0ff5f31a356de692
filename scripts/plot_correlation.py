"""Draw |b_j| against w_j with the bar lambda/2 for some targets of every pair of networks (Figure 3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuraldeps.cases import categories
from neuraldeps.covlasso import solve_covlasso
from neuraldeps.dependencies import cross_moment
from neuraldeps.figures.correlation import Correlation, correlation_figure
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import map_array, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def solve_targets(
    source: str,
    within: str,
    pair: str,
    power: np.ndarray,
    targets: np.ndarray,
    *,
    relative_alpha: float,
    exclude_own: bool,
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Correlations b, solutions w and alpha of every target, over the allowed sources."""
    gram, cross = map_array(within, "second_moment"), cross_moment(pair, source)
    excluded = within == pair or exclude_own
    allowed = [np.flatnonzero(~((np.arange(len(gram)) == target) & excluded)) for target in targets]
    b = [cross[sources, target] for sources, target in zip(allowed, targets, strict=True)]
    alpha = np.array([relative_alpha * np.abs(one).max() for one in b])
    solution = solve_covlasso(
        gram,
        None if within == pair else cross,
        None if within == pair else power,
        # a target without any correlation has no dependency at any penalty
        alpha=np.where(alpha > 0, alpha, 1.0),
        targets=targets,
        exclude_own=excluded,
    )
    coef = solution.to_sparse(len(gram)).toarray()
    return [(b[t], coef[t, sources], float(alpha[t])) for t, sources in enumerate(allowed)]


def main(
    within: Sequence[str],
    pairs: Sequence[str],
    png: str,
    svg: str,
    *,
    models: Sequence[tuple[str, str]],
    n_targets: int,
    relative_alpha: float,
    exclude_own: bool,
    seed: int,
) -> None:
    own = {str(open_store(path).attrs["source"]): path for path in within}
    rows = []
    for (source, target), pair in zip(models, pairs, strict=True):
        known = categories(open_store(own[target]), "source_category")
        rng = np.random.default_rng(seed)
        power = np.diagonal(map_array(own[target], "second_moment")).copy()
        living = np.flatnonzero(power > 0)  # a category without a logit has nothing to show
        targets = np.sort(rng.choice(living, min(n_targets, len(living)), replace=False))
        solved = solve_targets(
            source,
            own[source],
            pair,
            power,
            targets,
            relative_alpha=relative_alpha,
            exclude_own=exclude_own,
        )
        shown = [Correlation(known[i], *one) for i, one in zip(targets, solved, strict=True)]
        rows.append((source, target, shown))
    save_figure(correlation_figure(rows), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.within,
            snakemake.params.pairs,
            snakemake.output.png,
            snakemake.output.svg,
            models=snakemake.params.models,
            n_targets=snakemake.params.n_targets,
            relative_alpha=snakemake.params.relative_alpha,
            exclude_own=snakemake.params.exclude_own,
            seed=snakemake.params.seed,
        )
