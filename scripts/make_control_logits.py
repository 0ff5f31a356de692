"""Write the logits of a control network, made from those of a network of the run."""

from typing import TYPE_CHECKING

from neuraldeps.controls.logits import make_control_logits
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    logits: str,
    moments: str,
    control: str,
    *,
    kind: str,
    seed: int,
    split: str,
    rows: int | None,
) -> None:
    make_control_logits(logits, moments, control, kind=kind, seed=seed, split=split, rows=rows)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.logits,
            snakemake.input.moments,
            snakemake.output.logits,
            kind=snakemake.wildcards.control,
            seed=snakemake.params.seed,
            split=snakemake.wildcards.split,
            rows=snakemake.params.rows,
        )
