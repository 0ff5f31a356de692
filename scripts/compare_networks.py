"""Hold the dependencies within two versions of one network against each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.cards import compare_networks, write_cards
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    subsets: tuple[str, str],
    moments: tuple[str, str],
    stability: tuple[str, str] | None,
    csv: str,
    parquet: str,
    json: str,
    *,
    models: tuple[str, str],
    sizes: Sequence[int],
) -> None:
    rows = compare_networks(subsets, moments, models, sizes=sizes, stability=stability)
    write_cards(rows, csv, parquet, json)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            tuple(snakemake.input.subsets),
            tuple(snakemake.input.moments),
            tuple(snakemake.input.stability) or None,
            snakemake.output.csv,
            snakemake.output.parquet,
            snakemake.output.json,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            sizes=snakemake.params.sizes,
        )
