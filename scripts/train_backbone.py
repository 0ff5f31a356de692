"""Train a network from scratch, on fresh poses of the glyphs or on photos; all of its schedule or a part."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logs import job_log
from neuraldeps.networks.build import build_network
from neuraldeps.networks.card import NetworkCard
from neuraldeps.networks.training import train_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images: str,
    card: str,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    seed: int,
    **training: Any,
) -> None:
    torch.set_num_threads(1)
    described = NetworkCard.from_json(card)
    network = build_network(model, spec, described.n_categories, described.data_config, seed=seed)
    train_to(
        checkpoint,
        curve,
        network,
        described,
        options,
        images=images,
        seed=seed,
        made_of=[described.as_dict()],
        **training,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            snakemake.input.card,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            seed=snakemake.params.seed,
            validation=snakemake.input.get("validation"),
            begun=snakemake.input.begun or None,
            state=snakemake.output.get("state"),
            stop_after=snakemake.params.stop_after,
            threads=snakemake.threads,
        )
