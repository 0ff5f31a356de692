"""Write one part of a network's logits; extract_logits finishes the store."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logits.extraction import ExtractionOptions, extract_logits, prepare_extraction
from neuraldeps.logs import job_log
from neuraldeps.stores import aside

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    card: str,
    checkpoint: str | None,
    images: str,
    done: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    rows: int | None,
    logits: str,
    part: int,
    parts: int,
    threads: int,
    workers: int = 0,
) -> None:
    torch.set_num_threads(threads)
    how = ExtractionOptions(**options)
    network, source, store = prepare_extraction(
        model, spec, card, checkpoint, images, logits, how, rows, workers, made_by="extract_logits"
    )
    extract_logits(network, source, store, how, part=part, parts=parts)
    with aside(done) as path:
        path.touch()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.card,
            snakemake.input.get("checkpoint") or None,
            snakemake.input.images,
            snakemake.output.done,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            logits=f"results/logits/{snakemake.wildcards.model}/{snakemake.wildcards.split}.zarr",
            part=int(snakemake.wildcards.part),
            parts=snakemake.params.parts,
            threads=1,
            workers=snakemake.threads - 1,
        )
