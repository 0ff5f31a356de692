"""Draw who depends on whom in a network, by communities."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neuraldeps.figures.graph import dependency_graph, plot_graph
from neuraldeps.figures.style import save_widths
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluation: str, outputs: Mapping[str, str], *, estimator: str, size: int, seed: int
) -> None:
    store = open_store(evaluation)
    graph = dependency_graph(store, estimator, size, seed)
    save_widths(lambda width: plot_graph(graph, store.attrs["target"], width=width), outputs)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluation,
            dict(snakemake.output.items()),
            estimator=snakemake.params.estimator,
            size=snakemake.params.size,
            seed=snakemake.params.seed,
        )
