"""Draw the training curves of the networks that were trained here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.figures.curves import curves_figure
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(curves: Sequence[str], png: str, svg: str, *, models: Sequence[str]) -> None:
    frames = {model: pd.read_csv(path) for model, path in zip(models, curves, strict=True)}
    save_figure(curves_figure(frames), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.curves,
            snakemake.output.png,
            snakemake.output.svg,
            models=snakemake.params.models,
        )
