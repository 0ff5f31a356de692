"""Fine-tune one arm of Table 3, with or without the penalty on a pair of categories."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.arms import DependencyPenalty
from neuraldeps.logs import job_log
from neuraldeps.networks.build import build_network
from neuraldeps.networks.card import NetworkCard
from neuraldeps.networks.checkpoints import load_checkpoint, weights_digest
from neuraldeps.networks.training import train_to
from neuraldeps.seeds import seed_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images: str,
    card: str,
    start: str,
    pair: str | None,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    penalty: Mapping[str, Any] | None,
    seed: int,
    **training: Any,
) -> None:
    torch.set_num_threads(1)
    described = NetworkCard.from_json(card)
    network = build_network(model, spec, described.n_categories, described.data_config, seed=seed)
    load_checkpoint(network, start, model)
    extra_loss, made_of = None, [weights_digest(network)]
    if penalty is not None and pair is not None:
        chosen = json.loads(Path(pair).read_text())
        extra_loss = DependencyPenalty(chosen["target"], chosen["source"], **penalty)
        made_of += [repr(extra_loss)]
    # all arms of a seed see the same images in the same order, posed or augmented as in no epoch of
    # the baseline
    train_to(
        checkpoint,
        curve,
        network,
        described,
        options,
        images=images,
        seed=seed_of(seed, "finetune"),
        made_of=made_of,
        extra_loss=extra_loss,
        key="robustness.finetune",
        **training,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            snakemake.input.card,
            snakemake.input.start,
            snakemake.input.get("pair") or None,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            penalty=snakemake.params.penalty,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            seed=int(snakemake.wildcards.seed),
            validation=snakemake.input.get("validation"),
            threads=snakemake.threads,
        )
