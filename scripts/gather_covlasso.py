"""Gather the batches of one ordered pair of networks in one store, targets in order."""

from typing import TYPE_CHECKING

from neuraldeps.dependencies.covlasso import gather_covlasso
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(parts: list[str], paths: str) -> None:
    write_store(gather_covlasso(parts), paths)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(list(snakemake.input.parts), snakemake.output.paths)
