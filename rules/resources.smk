# What jobs are given to work with: memory, time, threads and GPUs.


def megabytes(n):
    """Memory of a job; at every further attempt as much again."""
    return lambda wildcards, attempt: attempt * n


def minutes(n):
    """Time of a job; at every further attempt as much again."""
    return lambda wildcards, attempt: attempt * n


def table1_first(wildcards):
    """The priority of a pair's jobs: those of control networks are not for Table 1."""
    is_control = {wildcards.source, wildcards.target} & {*CONTROL_MODELS}
    return 0 if is_control else TABLE1_FIRST


def with_device(mem_mb):
    """Memory of a job that reduces, and PyTorch with its device's driver where one is named."""
    return lambda wildcards, attempt: (
        mem_mb(wildcards, attempt) + attempt * 3000 * bool(REDUCTION_DEVICE)
    )


def training_devices(wildcards):
    """Devices of a training; one where Lightning finds out."""
    devices = model_spec(wildcards)["train"]["trainer"]["devices"]
    return devices if isinstance(devices, int) else 1


def training_threads(wildcards):
    """Per device one process that trains, and those that load its images."""
    workers = model_spec(wildcards)["train"]["trainer"]["workers"]
    return training_devices(wildcards) * (1 + workers)


def training_gpus(wildcards):
    """GPUs of all devices, if networks run on GPUs."""
    return training_devices(wildcards) * config["resources"]["gpu"]


def training_mem_mb(wildcards, attempt):
    """Per device a network in training, and a few batches per process that loads images."""
    own = 4000 + 600 * model_spec(wildcards)["train"]["trainer"]["workers"]
    return attempt * training_devices(wildcards) * own


def render_mem_mb(wildcards, attempt):
    """PyTorch, all bitmaps, and a split's images twice."""
    samples = glyphs_per_category(wildcards) * N_CATEGORIES
    return int(
        attempt * (1500 + 2 * samples * config["dataset"]["img_size"] ** 2 / 2**20)
    )


def extraction_mem_mb(wildcards, attempt):
    """A network with its batches, two shards, and a few batches per process that decodes."""
    return attempt * (4000 + 600 * config["resources"]["workers"])


def moment_mem_mb(wildcards, attempt):
    """Partial sums (1 GiB, or one second moment), and as much again twice at 14 million images."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    return int(attempt * (1500 + 1024 + 3 * matrix))


def solver_mem_mb(wildcards, attempt):
    """Both second moments of a pair and the paths of all targets."""
    matrix, size = 8 * N_CATEGORIES**2 / 2**20, config["covlasso"]["max_support"]
    paths = N_CATEGORIES * max(0.1, 1.2e-4 * size**2)
    return int(attempt * (1500 + 2.2 * matrix + paths))


def redundancy_mem_mb(wildcards, attempt):
    """Triangular factors (1 GiB, or one), the rows folded in, and their singular vectors."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    return int(attempt * (1500 + 1024 + 7 * matrix))


def pass_runtime(wildcards, attempt):
    """One pass over all logits: two hours, and eight more at 21 841 categories."""
    return attempt * int(120 + N_CATEGORIES**2 / 1e6)


def arm_mem_mb(wildcards, attempt):
    """Four second moments and a solver's work on one of them."""
    return int(attempt * (2500 + 6 * 8 * N_CATEGORIES**2 / 2**20))


def stability_mem_mb(wildcards, attempt):
    """Sums of every split, of both kinds between networks, and a half's second moments."""
    matrix = 8 * N_CATEGORIES**2 / 2**20
    kinds = 1 if wildcards.source == wildcards.target else 2
    sums = (config["stability"]["n_splits"] + 4) * kinds * matrix
    return int(attempt * (1800 + sums))


def control_mem_mb(wildcards, attempt):
    """Second moments to draw from or to change rows by, and, shuffled, all logits of a split."""
    samples = 0
    if wildcards.control == "shuffled":
        given = config["dataset"]["splits"].get(wildcards.split, {})
        samples = given.get("samples_per_category") or 1300
    size = 4 * samples * N_CATEGORIES**2 + 5 * 8 * N_CATEGORIES**2
    return int(attempt * (1500 + size / 2**20))


def learning_mem_mb(wildcards, attempt):
    """The logits that W is learned from: float32, or float64 of at most 0.8 of the rank."""
    given = config["dataset"]["splits"].get(GENERAL_SPLIT, {})
    samples = (
        GENERAL["samples_per_category"] or given.get("samples_per_category") or 500
    )
    samples *= given.get("n_views") or 1
    return int(attempt * (1500 + 7 * samples * N_CATEGORIES**2 / 2**20))


def explorer_mem_mb(wildcards, attempt):
    """The evaluations of all pairs, with supports of every size, and the images of one split."""
    size = config["covlasso"]["max_support"]
    evaluation = N_CATEGORIES * size * (3 * size * 12 + 6 * 8 * 30)
    return int(attempt * (2000 + 1.5 * len(PAIRS) * evaluation / 2**20))
