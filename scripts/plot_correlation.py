"""Draw |b_j| against w_j with the bar lambda/2 for some targets of every pair of networks (Figure 3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuraldeps.cases import categories
from neuraldeps.figures.correlation import Correlation, correlation_figure, solution_at
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def read_targets(
    paths: str, moments: str, targets: Sequence[int], relative_alpha: float
) -> tuple[str, str, list[Correlation]]:
    solved, moment = open_store(paths), open_store(moments)
    source, target = str(solved.attrs["source"]), str(solved.attrs["target"])
    second_moment = moment.second_moment.transpose("source_category", "target_category")
    if moment.attrs["source"] != source:
        second_moment = second_moment.T
    n_sources = second_moment.shape[0]
    excluded = np.full(n_sources, source == target or solved.attrs["config"]["exclude_own"])
    known = categories(solved, "target_category")
    correlations = []
    for position in targets:
        alpha, coef = solution_at(solved, position, relative_alpha, n_sources)
        own = int(solved.target_category[position])
        allowed = ~excluded | (np.arange(n_sources) != own)
        b = second_moment.isel({second_moment.dims[1]: position}).values
        correlations.append(Correlation(known[position], b[allowed], coef[allowed], alpha))
    return source, target, correlations


def main(
    paths: Sequence[str],
    moments: Sequence[str],
    png: str,
    svg: str,
    *,
    n_targets: int,
    relative_alpha: float,
    seed: int,
) -> None:
    n_categories = open_store(paths[0]).sizes["target_category"]
    rng = np.random.default_rng(seed)
    targets = np.sort(rng.choice(n_categories, min(n_targets, n_categories), replace=False))
    rows = [
        read_targets(path, moment, targets.tolist(), relative_alpha)
        for path, moment in zip(paths, moments, strict=True)
    ]
    save_figure(correlation_figure(rows), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.paths,
            snakemake.params.moments,
            snakemake.output.png,
            snakemake.output.svg,
            n_targets=snakemake.params.n_targets,
            relative_alpha=snakemake.params.relative_alpha,
            seed=snakemake.params.seed,
        )
