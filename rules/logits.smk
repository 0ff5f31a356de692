# in:  results/images/{split}.zarr, results/networks/{model}/, or logits from elsewhere
# out: results/logits/{model}/{split}.zarr (sample, category)

PARTS = config["extraction"]["parts"]
EXTRACTION = {
    key: config["extraction"][key]
    for key in ("batch_size", "amp", "amp_dtype", "channels_last", "torchcompile")
}


rule extract_logits_part:
    """Write one part of a network's logits, where several jobs share a set of images."""
    input:
        checkpoint=lambda wildcards: (
            f"results/networks/{wildcards.model}/model.safetensors"
            if is_trained(wildcards.model)
            else model_spec(wildcards).get("checkpoint", [])
        ),
        card=ancient("results/networks/{model}/card.json"),
        images="results/images/{split}.zarr",
    output:
        done=temp("results/logits/{model}/{split}.part{part}.done"),
    log:
        "logs/extract_logits_part/{model}/{split}/{part}.log",
    benchmark:
        "logs/benchmarks/extract_logits_part/{model}/{split}/{part}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 4000,
        runtime=720,
        gpu=config["extraction"]["gpu"],
    params:
        spec=model_spec,
        options=EXTRACTION,
        rows=config["extraction"]["rows_per_shard"],
        parts=PARTS,
    script:
        "../scripts/extract_logits_part.py"


rule extract_logits:
    """Write a network's logits of a set of images: whatever is missing, then the whole store."""
    input:
        checkpoint=lambda wildcards: (
            f"results/networks/{wildcards.model}/model.safetensors"
            if is_trained(wildcards.model)
            else model_spec(wildcards).get("checkpoint", [])
        ),
        card=ancient("results/networks/{model}/card.json"),
        images="results/images/{split}.zarr",
        parts=expand(
            "results/logits/{{model}}/{{split}}.part{part}.done",
            part=range(PARTS) if PARTS > 1 else [],
        ),
    output:
        logits=directory("results/logits/{model}/{split}.zarr"),
    log:
        "logs/extract_logits/{model}/{split}.log",
    benchmark:
        "logs/benchmarks/extract_logits/{model}/{split}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 4000,
        runtime=720,
        gpu=config["extraction"]["gpu"] if PARTS == 1 else 0,
    params:
        spec=model_spec,
        options=EXTRACTION,
        rows=config["extraction"]["rows_per_shard"],
    script:
        "../scripts/extract_logits.py"
