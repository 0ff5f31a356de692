"""Solve target categories from base categories alone, for the chord graph (Figure 4)."""

from typing import TYPE_CHECKING, Any

from neuraldeps.dependencies.chord import solve_chord
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(moments: str, chord: str, **options: Any) -> None:
    write_store(solve_chord(moments, **options), chord)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.input.moments, snakemake.output.chord, **dict(snakemake.params.items()))
