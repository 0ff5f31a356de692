"""Gather what is known of every category of an ordered pair of networks, one row each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.cards import make_cards, write_cards
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluation: str,
    source: str,
    target: str,
    csv: str,
    parquet: str,
    json: str,
    *,
    split: str,
    sizes: Sequence[int],
    n_worst: int,
    redundancy: str | None,
    stability: str | None,
) -> None:
    cards = make_cards(
        evaluation,
        source,
        target,
        split=split,
        sizes=sizes,
        n_worst=n_worst,
        redundancy=redundancy,
        stability=stability,
    )
    write_cards(cards, csv, parquet, json)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluation,
            snakemake.input.source,
            snakemake.input.target,
            snakemake.output.csv,
            snakemake.output.parquet,
            snakemake.output.json,
            split=snakemake.params.split,
            sizes=snakemake.params.sizes,
            n_worst=snakemake.params.n_worst,
            redundancy=snakemake.input.get("redundancy"),
            stability=snakemake.input.get("stability"),
        )
