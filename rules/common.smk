# What the rules share: the checked configuration, the lists that it spells out, and input functions.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from neuraldeps.config import check_config
from neuraldeps.errors import InputError

SCHEMA = str(Path(workflow.basedir) / "schemas/config.schema.yaml")
CONFIG_NAME = ", ".join(map(str, workflow.overwrite_configfiles)) or "config.yaml"

try:
    check_config(config, SCHEMA, CONFIG_NAME)
except InputError as error:
    raise WorkflowError(str(error)) from None
validate(config, SCHEMA)  # fills in the defaults

MODELS = list(config["models"])
SPLITS = list(config["dataset"]["splits"])
FIT, TEST = config["splits"]["fit"], config["splits"]["test"]
JUDGED_SPLITS = list(dict.fromkeys([FIT, TEST]))
PAIRS = (
    [(source, target) for source in MODELS for target in MODELS]
    if config["pairs"] == "all"
    else [tuple(pair) for pair in config["pairs"]]
)
N_CATEGORIES = config["dataset"]["n_categories"]
BATCHES = -(-N_CATEGORIES // config["covlasso"]["categories_per_job"])


wildcard_constraints:
    model="|".join(map(re.escape, MODELS)),
    source="|".join(map(re.escape, MODELS)),
    target="|".join(map(re.escape, MODELS)),
    split="|".join(map(re.escape, SPLITS)),
    batch=r"\d+",
    part=r"\d+",


def model_spec(wildcards):
    """A model's entry in the configuration, as plain Python."""
    return config["models"][wildcards.model]


def is_trained(model):
    """Whether a network is trained here, from scratch."""
    return "train" in config["models"][model]


def moment_path(source, target):
    """The store of an unordered pair: names sorted, so that a further model moves no file."""
    first, second = sorted((source, target))
    return f"results/moments/{first}--{second}.zarr"


def pair_moments(wildcards):
    """The second moment of a rule's ordered pair."""
    return moment_path(wildcards.source, wildcards.target)


def moment_mem_mb(wildcards, attempt):
    """Partial sums (at most 1 GiB, or one second moment), the result, some shards."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    return int(attempt * (1500 + 1024 + 3 * matrix))


def solver_mem_mb(wildcards, attempt):
    """Both second moments of a pair and the paths of a batch of targets."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    return int(attempt * (1500 + 2.2 * matrix))
