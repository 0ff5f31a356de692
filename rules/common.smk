# What the rules share: the checked configuration, the lists that it spells out, and input functions.
import re

from snakemake.exceptions import WorkflowError

from neuraldeps.config import OF_PHOTOS, complete_config, count_new
from neuraldeps.errors import InputError
from neuraldeps.listing import check_there

try:
    complete_config(config, workflow.configfiles, workflow.config_settings.config)
except InputError as error:
    raise WorkflowError(str(error)) from None

MODELS = list(config["models"])
SPLITS = list(config["dataset"]["splits"])
GLYPH_SPLITS = SPLITS if config["dataset"]["name"] == "glyphs" else []
PHOTO_SPLITS = SPLITS if config["dataset"]["name"] == "images" else []
IS_IMAGENET = PHOTO_SPLITS and config["dataset"]["categories"] == "imagenet-1k"
DATASET = "imagenet" if IS_IMAGENET else config["dataset"]["name"]
FIT, TEST = config["splits"]["fit"], config["splits"]["test"]
JUDGED_SPLITS = list(dict.fromkeys([FIT, TEST]))
PAIRS = (
    [(source, target) for source in MODELS for target in MODELS]
    if config["pairs"] == "all"
    else [tuple(pair) for pair in config["pairs"]]
)
N_CATEGORIES = config["dataset"]["n_categories"]
BATCHES = -(-N_CATEGORIES // config["covlasso"]["categories_per_job"])


# an input of the tables, cheap to make again, so that wrong names are found before any long work
CHECKED = [] if DATASET == "logits" else ["results/images/categories.csv"]
IMPORTED = [model for model in MODELS if config["models"][model].get("logits")]
NETWORKS = [model for model in MODELS if model not in IMPORTED]
TRAINED = [model for model in MODELS if config["models"][model].get("train")]


def one_of(names):
    """A regular expression of names, of none if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model=one_of(MODELS),
    source=one_of(MODELS),
    target=one_of(MODELS),
    split=one_of(SPLITS),
    batch=r"\d+",
    part=r"\d+",


def in_order(entry):
    """The same for any order of the keys: who moves a line of the configuration reruns nothing."""
    if isinstance(entry, dict):
        return {key: in_order(entry[key]) for key in sorted(entry)}
    return entry


def model_spec(wildcards):
    """A model's entry in the configuration, as plain Python."""
    return in_order(config["models"][wildcards.model])


def network_spec(wildcards):
    """What a network is built from: its entry without where its weights come from."""
    apart = ("train", "checkpoint")
    return {
        key: value for key, value in model_spec(wildcards).items() if key not in apart
    }


def named_categories():
    """What the configuration calls categories by, under its keys."""
    cases, pairs = config["tables"]["table1"]["cases"], ROBUSTNESS["pair"]
    named = {} if cases == "auto" else dict(cases)
    named = {
        f"tables.table1.cases.{pair}": [name]
        for pair, name in named.items()
        if name != "auto"
    }
    if pairs != "auto":
        named |= {f"robustness.pair.{model}": pair for model, pair in pairs.items()}
    if isinstance(ROBUSTNESS["ood_categories"], list):
        named["robustness.ood_categories"] = ROBUSTNESS["ood_categories"]
    return {key: [str(name) for name in names] for key, names in sorted(named.items())}


def categories_store(split):
    """A store that has the categories; of the glyphs one that does not change with the images."""
    return f"results/images/{'bitmaps' if GLYPH_SPLITS else split}.zarr"


def folders_name_categories(wildcards):
    """Whether Table 3 takes the categories that out-of-distribution images' folders are named by."""
    known = config["dataset"]["categories"] is not None
    by_folders = ROBUST_MODELS and ROBUSTNESS["ood_categories"] == "folders"
    return bool(known and by_folders and wildcards.split == ROBUSTNESS["ood_split"])


def own_checkpoint(wildcards):
    """The weight file that the user gives, if any."""
    path = model_spec(wildcards).get("checkpoint")
    return [path] if path else []


def checkpoint_input(wildcards):
    """The weights that logits are extracted with; none where timm downloads them."""
    if wildcards.model in TRAINED:
        return {"checkpoint": f"results/networks/{wildcards.model}/model.safetensors"}
    return {"checkpoint": path for path in own_checkpoint(wildcards)}


def training_images(wildcards):
    """What a network learns from: bitmaps to pose, or photos and some to draw its curve with."""
    if GLYPH_SPLITS:
        return {"images": "results/images/bitmaps.zarr"}
    split = model_spec(wildcards)["train"]["split"]
    return {
        "images": f"results/images/{split}.zarr",
        "validation": f"results/images/{TEST}.zarr",
    }


def training_options(wildcards):
    """Options that a training depends on, without the numbers of its images."""
    apart = ["samples_per_category", "valid_samples_per_category", "split", "workers"]
    apart += OF_PHOTOS if GLYPH_SPLITS else []
    options = model_spec(wildcards)["train"]
    return {key: value for key, value in options.items() if key not in apart}


def training_begun(wildcards):
    """The state after the epochs that Table 3's fine-tuning starts from: trained once for both."""
    if START_EPOCHS is None or wildcards.model not in ROBUST_MODELS:
        return []
    seed = wildcards.get("seed", config["seed"])
    return f"results/robustness/{wildcards.model}/seed{seed}/start/last.ckpt"


def training_devices(wildcards):
    """Devices of a training; one where Lightning finds out."""
    devices = model_spec(wildcards)["train"]["devices"]
    return devices if isinstance(devices, int) else 1


def training_threads(wildcards):
    """Per device one process that trains, and those that load its images."""
    workers = model_spec(wildcards)["train"]["workers"]
    return training_devices(wildcards) * (1 + workers)


def training_gpus(wildcards):
    """GPUs of all devices, if networks run on GPUs."""
    return training_devices(wildcards) * config["extraction"]["gpu"]


def training_mem_mb(wildcards, attempt):
    """Per device a network in training, and a few batches per process that loads images."""
    own = 4000 + 600 * model_spec(wildcards)["train"]["workers"]
    return attempt * training_devices(wildcards) * own


def extraction_options(wildcards):
    """What logits depend on, without what only spreads the work."""
    keys = ("batch_size", "channels_last", "amp", "amp_dtype", "torchcompile")
    return {key: config["extraction"][key] for key in keys}


def logits_parts(wildcards):
    """Markers of the parts of a split, where several jobs share it."""
    parts = config["extraction"]["parts"]
    stem = f"results/logits/{wildcards.model}/{wildcards.split}"
    return [f"{stem}.part{part}.done" for part in range(parts)] if parts > 1 else []


def moment_path(source, target):
    """The store of an unordered pair: names sorted, so that a further model moves no file."""
    first, second = sorted((source, target))
    return f"results/moments/{first}--{second}.zarr"


def pair_moments(wildcards):
    """The second moment of a rule's ordered pair."""
    return moment_path(wildcards.source, wildcards.target)


def glyphs_per_category(wildcards):
    """Images of every character in a split."""
    return config["dataset"]["splits"][wildcards.split]["samples_per_category"]


def split_spec(wildcards):
    """Where the photos of a split come from, and which of them are taken."""
    return in_order(config["dataset"]["splits"][wildcards.split])


def categories_of_fit(wildcards):
    """Where nothing else names the categories, the index whose names all splits share."""
    own = config["dataset"]["categories"] or wildcards.split == FIT
    return [] if own else categories_store(FIT)


def given_tables(wildcards):
    """The tables that a split's index is made from: its own, and one of categories."""
    spec, key = split_spec(wildcards), f"dataset.splits.{wildcards.split}"
    categories = config["dataset"]["categories"]
    try:
        if not Path(f"results/images/{wildcards.split}.zarr").exists():
            check_there(spec, key, categories)
    except InputError as error:
        # one line: Snakemake puts a traceback around any other exception
        raise SystemExit(f"Error: {error}") from None
    given = [spec["csv"], categories]
    return [path for path in given if path and path.endswith(".csv")]


def render_mem_mb(wildcards, attempt):
    """PyTorch, all bitmaps, and a split's images twice."""
    samples = glyphs_per_category(wildcards) * N_CATEGORIES
    return int(
        attempt * (1500 + 2 * samples * config["dataset"]["img_size"] ** 2 / 2**20)
    )


def extraction_mem_mb(wildcards, attempt):
    """A network with its batches, two shards, and a few batches per process that decodes."""
    return attempt * (4000 + 600 * config["extraction"]["workers"])


def moment_mem_mb(wildcards, attempt):
    """Partial sums (1 GiB, or one second moment), and as much again twice at 14 million images."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    return int(attempt * (1500 + 1024 + 3 * matrix))


def solver_mem_mb(wildcards, attempt):
    """Both second moments of a pair and the paths of all targets."""
    matrix, size = 8 * N_CATEGORIES**2 / 2**20, config["covlasso"]["max_support"]
    paths = N_CATEGORIES * max(0.1, 1.2e-4 * size**2)
    return int(attempt * (1500 + 2.2 * matrix + paths))


def pass_runtime(wildcards, attempt):
    """One pass over all logits: two hours, and eight more at 21 841 categories."""
    return attempt * int(120 + N_CATEGORIES**2 / 1e6)


def photo_splits():
    """The sets of photos that something is made from."""
    used = JUDGED_SPLITS + [
        config["models"][model]["train"]["split"] for model in TRAINED
    ]
    used += ROBUST_SPLITS if ROBUST_MODELS else []
    used += [GENERAL_SPLIT] if GENERAL_MODELS else []
    return [split for split in PHOTO_SPLITS if split in used]


def final_outputs():
    """Every table, figure and set of images that the configuration asks for."""
    figures = ["figure1", "figure3", "figure4", "error_by_support"]
    figures += [f"star/{source}--{target}" for source, target in PAIRS]
    outputs = expand("results/tables/table1{which}.csv", which=["", "_distribution"])
    outputs += ["results/tables/networks.csv"]
    if ROBUST_MODELS:
        outputs += ["results/tables/table3.csv"]
        figures += ["table3", "table3_curves"]
    if GENERAL_MODELS:
        outputs += expand("results/tables/table{number}.csv", number=[2, 4])
        outputs += ["logs/tables/table2_times.csv"]
        figures += ["table2_curves"]
    if TRAINED:
        figures += ["training_curves"]
    if config["dataset"]["name"] == "glyphs":
        figures += ["contact_sheet"]
        outputs += expand("results/images/{split}.zarr", split=SPLITS)
    # asked for, so that who removes an index has it made again, and all that comes of it
    outputs += expand("results/images/{split}.zarr", split=photo_splits())
    return outputs + expand("results/figures/{figure}.png", figure=figures)
