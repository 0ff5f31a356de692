# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Dependencies of your own logits
#
# Logits of any classifier, as NumPy arrays: which categories are, in its logits, a combination of a few others?
# Nothing is needed but the library: no workflow, no network, no files.
#
# So that this notebook runs anywhere, the logits are made up. A network's last layer multiplies features by a
# row of weights for every category; here an okapi's row is made of a zebra's and a giraffe's.

# %%
import numpy as np
import pandas as pd

from neuraldeps import BestSubset, CovLasso, find_dependencies

names = [
    "zebra", "giraffe", "okapi", "tiger", "lion", "liger", "wolf", "dog", "husky", "seal",
    "cup", "mug", "teapot", "sofa", "chair", "bench", "guitar", "violin", "cello", "banjo",
]  # fmt: skip
pd.options.display.precision = 2
rng = np.random.default_rng(0)
weights = rng.standard_normal((len(names), 64))
weights[2] = 0.8 * weights[0] + 0.6 * weights[1]  # the okapi
weights[5] = 0.7 * weights[3] + 0.7 * weights[4]  # the liger
weights += 0.1 * rng.standard_normal(weights.shape)


def extract(n):
    """Logits and labels of n made-up images: features about their category's row, and noise."""
    labels = rng.integers(len(names), size=n)
    features = 0.5 * weights[labels] + rng.standard_normal((n, 64))
    return (features @ weights.T).astype(np.float32), labels


logits, labels = extract(5000)
held_out, held_out_labels = extract(5000)

# %% [markdown]
# ## All categories at once
#
# Every category's best few others are found on one set of images and judged on the other.

# %%
found = find_dependencies(
    logits,
    labels=labels,
    held_out=held_out,
    held_out_labels=held_out_labels,
    names=names,
    support_size=2,
)
found.table.sort_values("error_held_out").head(8)

# %% [markdown]
# A row says: these others, with these coefficients, give the category's logit to within `error_held_out` of its
# size, on images of the category that nothing was fitted to. With its logit replaced by the combination the
# network still gets `accuracy_kept` of these images right, of `accuracy` before. The okapi and the liger were made of
# two others, and so each of these is found too: a lion is a liger without its tiger. The other categories depend on
# nothing, and their errors say so.

# %% [markdown]
# ## One category
#
# In the centre the category, around it its sources. Small beside it is CovLasso's, the paper's method.

# %%
# %matplotlib inline
found.star("okapi")

# %% [markdown]
# ## Between two networks
#
# Another network over the same images: which combination of *its* logits gives this one's? The category of the same
# name is left out, as in the paper. The second network here is the first with noise of its own.

# %%
other, held_out_other = (
    (some + rng.standard_normal(some.shape)).astype(np.float32) for some in (logits, held_out)
)
between = find_dependencies(
    other,
    labels=labels,
    held_out=held_out_other,
    held_out_labels=held_out_labels,
    target_logits=logits,
    held_out_target=held_out,
    names=names,
    support_size=2,
)
between.table.loc[["okapi", "liger"]]

# %% [markdown]
# ## Everything behind the table
#
# `evaluation` has all three estimators at every size on both sets of images, as the workflow's stores do: `lasso` is
# CovLasso's own solution, shrunken by its penalty, `refit` least squares on its categories, `subset` the best few.

# %%
found.evaluation["relative_error_positive"].sel(split="held out", support_size=2).median(
    "target_category"
).to_pandas()

# %% [markdown]
# ## The solvers alone
#
# Estimators as scikit-learn's, fitted to logits. `dual_gap_` certifies that CovLasso was solved exactly.

# %%
lasso = CovLasso(support_size=2).fit(logits)
subset = BestSubset(support_size=2).fit(logits)
print("largest duality gap:", f"{lasso.dual_gap_.max():.1e}")
print("okapi by CovLasso:  ", lasso.coef_[[2]].toarray().round(2)[0, :4])
print("okapi by the best 2:", subset.coef_[[2]].toarray().round(2)[0, :4])
