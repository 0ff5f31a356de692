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
# # The stores of a run
#
# What `snakemake` left in `results/`, opened as one tree and read with xarray. Every store says what made it, from
# what; [docs/stores.md](../docs/stores.md) has every array. Start Jupyter in `notebooks/`, after a run.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

from neuraldeps.dependencies.cases import describe_case
from neuraldeps.figures.star import plot_star

# %matplotlib inline
pd.options.display.precision = 3
results = Path("../results")
stores = {
    str(path.relative_to(results)): xr.open_zarr(path) for path in sorted(results.rglob("*.zarr"))
}
tree = xr.DataTree.from_dict(stores)
pd.Series(
    {
        name: tree[f"dependencies/evaluation/{name}"].attrs["title"]
        for name in tree["dependencies/evaluation"]
    }
).to_frame("what it is")

# %% [markdown]
# ## One pair of networks
#
# The evaluation of a pair has every category's dependency by three estimators, at every size, judged on the images that
# it was fitted on (`fit`) and on others (`test`).

# %%
networks = [name.removesuffix(".zarr").split("--") for name in tree["dependencies/evaluation"]]
network = next(source for source, target in networks if source == target)
judged = tree[f"dependencies/evaluation/{network}--{network}.zarr"].to_dataset()
error = judged["relative_error_positive"].load()
error.median("target_category").sel(split="test").to_pandas().T

# %% [markdown]
# The typical category's error over the number of sources: what few others give, on images that nothing was fitted to.

# %%
axes = error.sel(split="test").median("target_category").plot.line(x="support_size")[0].axes
axes.set(title=f"within {network}", xlabel="at most so many others", ylabel="median relative error")
axes.set_ylim(0)
plt.show()
# %% [markdown]
# ## One category
#
# Chosen by the smallest error on `fit`, judged on `test`: its sources, and the share of its images that are still
# classified rightly with its logit replaced.

# %%
size = min(4, int(judged["support_size"].max()))
best = judged.sel(estimator="subset", support_size=size)
chosen = int(
    error.sel(split="fit", estimator="subset", support_size=size).argmin("target_category")
)
shown = best.isel(target_category=chosen).load()
there = shown["support"].values >= 0
terms = pd.DataFrame(
    {
        "source": judged["source_category_name"].values[shown["support"].values[there]],
        "coef": shown["coef"].values[there],
    }
)
print(shown["target_category_name"].item())
print(f"missed by {shown['relative_error_positive'].sel(split='test').item():.1%} of its logit")
print(
    f"right: {shown['positive_accuracy'].sel(split='test').item():.1%} of its images, "
    f"{shown['original_positive_accuracy'].sel(split='test').item():.1%} before"
)
terms

# %% [markdown]
# The same as the workflow draws it, from the same store:

# %%
plot_star(describe_case(judged, chosen, size - 1))

# %% [markdown]
# ## Its logit and the combination, image by image
#
# From the logits themselves: each image's logit of the category against what the combination gives.

# %%
logits = tree[f"logits/{network}/test.zarr"].to_dataset()
values = logits["logits"].values
combination = values[:, shown["support"].values[there]] @ shown["coef"].values[there]
own = logits["label"].values == chosen
figure, axes = plt.subplots(figsize=(4, 4))
truth = values[:, chosen]
axes.plot(truth[~own], combination[~own], ".", markersize=1, color="0.7", label="other images")
axes.plot(truth[own], combination[own], ".", markersize=4, label="its own")
axes.axline((0, 0), slope=1, color="0.3", linewidth=0.7)
axes.set(xlabel="logit", ylabel="combination of the others")
axes.legend()
plt.show()
# %% [markdown]
# ## Where it comes from
#
# Attributes of every store name what it was made from, by fingerprint, with which configuration and versions.

# %%
{name: judged.attrs[name] for name in ("made_by", "config", "versions", "sources")}
