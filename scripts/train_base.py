"""Train a network on the base categories alone; no image of a new category is ever seen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuraldeps.generalizability.partition import read_split
from neuraldeps.logs import job_log
from neuraldeps.networks.build import build_network, describe_network
from neuraldeps.networks.card import NetworkCard
from scripts import train_backbone

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images: str,
    categories: str,
    whole_card: str,
    card: str,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    **training: Any,
) -> None:
    base = read_split(categories).base.tolist()
    whole = NetworkCard.from_json(whole_card)
    network = build_network(model, spec, len(base), whole.data_config)
    describe_network(model, spec, network, len(base), categories=base).to_json(card)
    train_backbone.main(images, card, checkpoint, curve, model=model, spec=spec, **training)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            snakemake.input.categories,
            snakemake.input.card,
            snakemake.output.card,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            seed=int(snakemake.wildcards.seed),
            validation=snakemake.input.get("validation"),
            threads=snakemake.threads,
        )
