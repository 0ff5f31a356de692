"""How work is spread."""

from typing import Annotated

from pydantic import Field

from neuraldeps.config.blocks import Block, Choices
from neuraldeps.devices import PATTERN


class Resources(Block):
    """How work is spread over jobs, processes, machines and files: no result depends on it, but for a device's rounding."""

    gpu: int = Field(
        0,
        ge=0,
        description="Number of GPUs that each job with a network asks for; a training asks for as many for each of its devices.",
    )
    workers: int = Field(
        0, ge=0, description="Processes that decode images, in each job that extracts logits."
    )
    jobs_per_split: int = Field(
        1, ge=1, description="Number of jobs that share the images of a split to extract logits."
    )
    rows_per_shard: int | None = Field(
        None,
        ge=1,
        description="Images per shard of a store of logits; null uses shards of at most 32 MiB.",
    )
    targets_per_job: int = Field(
        1000, ge=1, description="Number of target categories that one job solves CovLasso for."
    )
    dask_scheduler: str | None = Field(
        None,
        description="Address of a running Dask scheduler (tcp://...) for the reductions over images; null reduces on the threads of each job.",
    )
    reduction_device: Annotated[str | None, Choices("cpu, cuda or cuda:N, or null")] = Field(
        None,
        pattern=PATTERN,
        description="Device that second moments and evaluations are added up on by PyTorch, in float64: `cpu`, `cuda` or `cuda:N`; null adds up by NumPy. Sums differ by rounding, and jobs on `cuda` ask for one GPU.",
    )
