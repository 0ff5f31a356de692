"""Measure all arms of one network and seed: winners, anomaly scores, the dependency, its moments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from neuraldeps.engines import in_threads, on_cluster
from neuraldeps.logits.store import Centering
from neuraldeps.logs import job_log
from neuraldeps.robustness.measures import measure_robustness
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    stores: Mapping[str, Mapping[str, str]],
    pair: str,
    measures: str,
    *,
    model: str,
    seed: int,
    dataset: str,
    centering: Centering,
    ood_categories: str | Sequence[str],
    alpha: Sequence[float],
    relative_alpha: Sequence[float],
    scheduler: str | None,
    threads: int,
    device: str | None = None,
) -> None:
    # absolute: workers on a cluster have a working directory of their own
    stores = {
        arm: {role: str(Path(path).absolute()) for role, path in paths.items()}
        for arm, paths in stores.items()
    }
    reduction = (
        in_threads(threads, "second moment", device)
        if scheduler is None
        else on_cluster(scheduler, device)
    )
    with threadpool_limits(1, "blas"), reduction as how:
        measured = measure_robustness(
            stores,
            json.loads(Path(pair).read_text()),
            model=model,
            seed=seed,
            dataset=dataset,
            centering=centering,
            ood_categories=ood_categories,
            alpha=alpha,
            relative_alpha=relative_alpha,
            **how,
        )
    write_store(measured, measures)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        roles = {role: list(snakemake.input[role]) for role in ("fit", "test", "ood")}
        main(
            {
                arm: {role: paths[number] for role, paths in roles.items()}
                for number, arm in enumerate(snakemake.params.arms)
            },
            snakemake.input.pair,
            snakemake.output.measures,
            model=snakemake.wildcards.model,
            seed=int(snakemake.wildcards.seed),
            dataset=snakemake.params.dataset,
            centering=snakemake.params.centering,
            ood_categories=snakemake.params.ood_categories,
            alpha=snakemake.params.alpha,
            relative_alpha=snakemake.params.relative_alpha,
            # no parameters: another scheduler gives the same bytes, a device but for rounding
            scheduler=snakemake.config["resources"]["dask_scheduler"],
            threads=snakemake.threads,
            device=snakemake.config["resources"]["reduction_device"],
        )
