"""CovLasso: exact, certified sparse dependencies between categories, from second moments alone."""

from neuraldeps.covlasso.path import (
    CovLassoPath,
    CovLassoSolution,
    covlasso_path,
    solve_covlasso,
)
from neuraldeps.covlasso.validation import MomentError, UncertifiedError

__all__ = [
    "CovLassoPath",
    "CovLassoSolution",
    "MomentError",
    "UncertifiedError",
    "covlasso_path",
    "solve_covlasso",
]
