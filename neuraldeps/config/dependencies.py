"""The solvers of dependencies."""

from typing import Annotated

from pydantic import Field

from neuraldeps.config.blocks import Block


class CovLasso(Block):
    """The paper's solver, and what every solver may take."""

    max_support: int | None = Field(
        None,
        ge=1,
        description="Largest number of source categories, on the exact paths and in the best subsets; null is 20, or all other categories if they are fewer.",
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


class BestSubset(Block):
    """The search for the best few sources."""

    width: int = Field(
        1,
        ge=1,
        description="Sets of each size that the search continues from; more of them can find smaller errors, and take proportionally longer.",
    )
    proven_size: int | None = Field(
        None,
        ge=1,
        le=3,
        description="Size up to which the best set is found by exhaustive search, and so proven; null is 3 for at most 1024 categories, 2 for at most 8192, 1 for more.",
    )
