# in:  results/images/{split}.zarr, results/networks/{model}/, or logits from elsewhere
# out: results/logits/{model}/{split}.zarr (sample, category)


rule extract_logits_part:
    """Write one part of a network's logits, where several jobs share a set of images."""
    input:
        unpack(checkpoint_input),
        card="results/networks/{model}/card.json",
        images="results/images/{split}.zarr",
    output:
        done=temp("results/logits/{model}/{split}.part{part}.done"),
    log:
        "logs/extract_logits_part/{model}/{split}/{part}.log",
    benchmark:
        "logs/benchmarks/extract_logits_part/{model}/{split}/{part}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    priority: TABLE1_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1 + config["resources"]["workers"]
    resources:
        mem_mb=extraction_mem_mb,
        runtime=minutes(720),
        gpu=config["resources"]["gpu"],
    params:
        spec=network_spec,
        options=extraction_options,
        rows=config["resources"]["rows_per_shard"],
        parts=config["resources"]["jobs_per_split"],
    script:
        "../scripts/extract_logits_part.py"


rule extract_logits:
    """Write a network's logits of a set of images: whatever is missing, then the whole store."""
    input:
        unpack(checkpoint_input),
        card="results/networks/{model}/card.json",
        images="results/images/{split}.zarr",
        parts=logits_parts,
    output:
        logits=directory("results/logits/{model}/{split}.zarr"),
    log:
        "logs/extract_logits/{model}/{split}.log",
    benchmark:
        "logs/benchmarks/extract_logits/{model}/{split}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    priority: TABLE1_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1 + config["resources"]["workers"]
    resources:
        mem_mb=extraction_mem_mb,
        runtime=minutes(720),
        gpu=(
            config["resources"]["gpu"]
            if config["resources"]["jobs_per_split"] == 1
            else 0
        ),
    params:
        spec=network_spec,
        options=extraction_options,
        rows=config["resources"]["rows_per_shard"],
    script:
        "../scripts/extract_logits.py"


rule import_logits:
    """Bring logits from elsewhere into a store like that of any network."""
    input:
        source=lambda wildcards: model_spec(wildcards)["logits"][wildcards.split],
        labels=lambda wildcards: model_spec(wildcards)
        .get("labels", {})
        .get(wildcards.split, []),
        paths=lambda wildcards: model_spec(wildcards)
        .get("paths", {})
        .get(wildcards.split, []),
        images=(
            "results/images/{split}.zarr"
            if config["dataset"]["kind"] != "logits"
            else []
        ),
        categories=[NAMED_BY] if NAMED_BY and NAMED_BY.endswith(".csv") else [],
    output:
        logits=directory("results/logits/{model}/{split}.zarr"),
    log:
        "logs/import_logits/{model}/{split}.log",
    benchmark:
        "logs/benchmarks/import_logits/{model}/{split}.tsv"
    wildcard_constraints:
        model=one_of(IMPORTED),
    priority: CHECKS_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=extraction_mem_mb,
        runtime=minutes(240),
    params:
        n_categories=N_CATEGORIES,
        categories=NAMED_BY,
        rows=config["resources"]["rows_per_shard"],
        # a folder's own time does not tell that a chunk in it was written over; of the wildcards
        # alone, since Snakemake compares no parameter that is made from the input
        state=imported_state,
    script:
        "../scripts/import_logits.py"
