"""Draw target categories as combinations of base categories alone, as a chord graph (Figure 4)."""

from typing import TYPE_CHECKING

import numpy as np

from neuraldeps.cases import categories
from neuraldeps.covlasso import solve_covlasso
from neuraldeps.figures.chord import Chords, chord_figure, draw_categories
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import map_array, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def solve_chords(
    second_moment: np.ndarray, base: np.ndarray, targets: np.ndarray, support_size: int
) -> np.ndarray:
    solution = solve_covlasso(
        second_moment, support_size=support_size, targets=targets, sources=base
    )
    return solution.to_sparse(len(second_moment)).toarray()[:, base]


def main(
    moments: str,
    png: str,
    svg: str,
    *,
    model: str,
    n_base: int,
    n_targets: int,
    support_size: int,
    seed: int,
) -> None:
    second_moment = map_array(moments, "second_moment")
    known = categories(open_store(moments), "source_category")
    base, targets = draw_categories(len(known), n_base, n_targets, seed)
    chords = Chords(
        [known[category] for category in base],
        [known[category] for category in targets],
        solve_chords(second_moment, base, targets, support_size),
    )
    title = f"{model}: {n_targets} target categories from {n_base} base categories alone"
    subtitle = (
        f"CovLasso, at most {support_size} base categories per target; arc length = |coefficient|"
    )
    save_figure(chord_figure(chords, title, subtitle), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.moments,
            snakemake.output.png,
            snakemake.output.svg,
            model=snakemake.params.model,
            n_base=snakemake.params.n_base,
            n_targets=snakemake.params.n_targets,
            support_size=snakemake.params.support_size,
            seed=snakemake.params.seed,
        )
