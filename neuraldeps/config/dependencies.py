"""Second moments and the solver."""

from typing import Annotated, Literal

from pydantic import Field

from neuraldeps.config.blocks import Block


class Moments(Block):
    """The uncentred second moment of the logits."""

    gauge: Literal["raw", "zero_mean"] = Field(
        "raw",
        description="Whether logits are taken as they are (raw, as in the paper) or with each image's mean logit subtracted (zero_mean).",
    )


class Dask(Block):
    """Where reductions over images run."""

    scheduler: str | None = Field(
        None,
        description="Address of a running Dask scheduler (tcp://...); null reduces on the threads of the job itself.",
    )


class CovLasso(Block):
    """The solver."""

    max_support: int | None = Field(
        None,
        ge=1,
        description="Largest number of source categories on the exact paths; null is 20, or all other categories if they are fewer.",
    )
    alpha: list[Annotated[float, Field(gt=0)]] = Field(
        [0.25, 2.5],
        description="Penalties in scikit-learn's meaning (half the paper's lambda), in squared logits.",
    )
    relative_alpha: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [0.1, 0.03],
        description="Penalties as a share of each target's alpha_max, the penalty above which no source is left.",
    )
    exclude_own: bool = Field(
        True,
        description="Whether, between two networks, the target's own category is left out of the sources.",
    )
    categories_per_job: int = Field(
        1000, ge=1, description="Number of target categories that one job solves."
    )
