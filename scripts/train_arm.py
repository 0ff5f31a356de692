"""Train one arm of Table 3: from scratch, or on from a checkpoint with or without the penalty."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logs import job_log
from neuraldeps.networks import build_network, load_checkpoint, weights_digest
from neuraldeps.poses import seed_of
from neuraldeps.robustness import DependencyPenalty
from neuraldeps.stores import fingerprint
from neuraldeps.training import (
    TrainingOptions,
    open_training_data,
    save_training,
    train,
    training_folder,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images: str,
    card: str,
    start: str | None,
    pair: str | None,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    penalty: Mapping[str, Any] | None,
    samples_per_category: int,
    valid_samples_per_category: int,
    stop_after: int | None,
    seed: int,
    validation: str | None = None,
    threads: int = 1,
) -> None:
    torch.set_num_threads(1)
    described = json.loads(Path(card).read_text())
    network = build_network(model, spec, described["n_categories"], described, seed=seed)
    if start is not None:
        load_checkpoint(network, start, model)
    # all arms of a seed see the same images in the same order, posed or augmented as in no epoch of
    # the baseline
    stream = seed if start is None else seed_of(seed, "finetune")
    training = TrainingOptions.on_threads(options, threads)
    data = open_training_data(
        images,
        validation,
        described,
        training,
        samples_per_category=samples_per_category,
        valid_samples_per_category=valid_samples_per_category,
        seed=stream,
    )
    extra_loss, everything = None, [dict(options), len(data), valid_samples_per_category, stream]
    if penalty is not None:
        chosen = json.loads(Path(pair).read_text())
        extra_loss = DependencyPenalty(chosen["target"], chosen["source"], **penalty)
        everything += [repr(extra_loss)]
    everything += [weights_digest(network), stop_after]
    everything += [fingerprint(path) for path in (images, validation) if path]
    work_dir = training_folder(checkpoint, everything)
    rows = train(
        network,
        data,
        training,
        seed=stream,
        work_dir=work_dir,
        extra_loss=extra_loss,
        stop_after=stop_after,
    )
    save_training(network, rows, checkpoint, curve, work_dir)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            snakemake.input.card,
            snakemake.input.get("start") or None,
            snakemake.input.get("pair") or None,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            penalty=snakemake.params.penalty,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            stop_after=snakemake.params.stop_after,
            seed=int(snakemake.wildcards.seed),
            validation=snakemake.input.get("validation"),
            threads=snakemake.threads,
        )
