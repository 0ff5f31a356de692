"""Write the logits of a network with its first random weights, of every set of images that judges."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logits.extraction import ExtractionOptions, extract_logits, prepare_extraction
from neuraldeps.logs import job_log
from neuraldeps.seeds import seed_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    card: str,
    images: Sequence[str],
    logits: Sequence[str],
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    rows: int | None,
    workers: int,
    seed: int,
) -> None:
    torch.set_num_threads(1)
    how = ExtractionOptions(**options)
    for shown, path in zip(images, logits, strict=True):
        network, source, store = prepare_extraction(
            model,
            {**spec, "pretrained": False},
            card,
            None,
            shown,
            path,
            how,
            rows,
            workers,
            made_by="extract_untrained",
            seed=seed_of(seed, "untrained", model),
        )
        extract_logits(network, source, store, how)
        store.finish()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.card,
            list(snakemake.input.images),
            list(snakemake.output.logits),
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            workers=snakemake.threads - 1,
            seed=snakemake.params.seed,
        )
