"""CovLasso: exact, certified sparse dependencies between categories, from second moments alone."""

from typing import TYPE_CHECKING, Any

from neuraldeps.covlasso.path import covlasso_path, solve_covlasso
from neuraldeps.covlasso.solution import CovLassoPath, CovLassoSolution
from neuraldeps.covlasso.validation import MomentError, UncertifiedError

if TYPE_CHECKING:
    from neuraldeps.covlasso.estimator import CovLasso

__all__ = [
    "CovLasso",
    "CovLassoPath",
    "CovLassoSolution",
    "MomentError",
    "UncertifiedError",
    "covlasso_path",
    "solve_covlasso",
]


def __getattr__(name: str) -> Any:
    """Load the estimator, and scikit-learn with it, on first use."""
    if name == "CovLasso":
        from neuraldeps.covlasso.estimator import CovLasso

        return CovLasso
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
