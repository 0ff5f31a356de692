# in:  nothing: the characters are listed in neuraldeps/assets, the fonts are matplotlib's
# out: results/images/bitmaps.zarr, results/images/{split}.zarr


rule render_bitmaps:
    """Draw every character in every face: what training draws fresh poses from."""
    output:
        bitmaps=directory("results/images/bitmaps.zarr"),
    log:
        "logs/render_bitmaps.log",
    benchmark:
        "logs/benchmarks/render_bitmaps.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        n_categories=N_CATEGORIES,
        n_ood=config["dataset"]["n_ood"],
    script:
        "../scripts/render_bitmaps.py"


rule render_glyphs:
    """Draw one fixed set of images: every character equally often, in random faces and poses."""
    input:
        bitmaps="results/images/bitmaps.zarr",
    output:
        images=directory("results/images/{split}.zarr"),
    log:
        "logs/render_glyphs/{split}.log",
    benchmark:
        "logs/benchmarks/render_glyphs/{split}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=render_mem_mb,
        runtime=30,
    params:
        samples_per_category=lambda wildcards: config["dataset"]["splits"][
            wildcards.split
        ]["samples_per_category"],
        img_size=config["dataset"]["img_size"],
        seed=config["seed"],
    script:
        "../scripts/render_glyphs.py"
