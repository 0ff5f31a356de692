# in:  results/dependencies/evaluation/{source}--{target}.zarr, results/dependencies/cases.json,
#      results/logits/{model}/{split}.zarr
# out: results/tables/{table1,table1_distribution,networks,table{1..4}_paper}.{csv,md,tex,html};
#      results/findings.{md,html}, what all tables of the run say of the paper's claims;
#      results/ro-crate-metadata.json, all that the run made, from what and how, for archives


rule tabulate_dependencies:
    """Write Table 1, one chosen dependency per pair, and its distribution over all categories."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
        cases="results/dependencies/cases.json",
        paper=PAPER_TABLES,
    output:
        csv=report(
            "results/tables/table1.csv",
            caption="../report/table1.rst",
            category="Tables",
            subcategory="Table 1",
            labels={"table": "one case per pair", "format": "CSV"},
        ),
        html=report(
            "results/tables/table1.html",
            caption="../report/table1.rst",
            category="Tables",
            subcategory="Table 1",
            labels={"table": "one case per pair", "format": "table to read"},
        ),
        md="results/tables/table1.md",
        tex="results/tables/table1.tex",
        distribution_csv=report(
            "results/tables/table1_distribution.csv",
            caption="../report/table1_distribution.rst",
            category="Tables",
            subcategory="Table 1",
            labels={"table": "all categories", "format": "CSV"},
        ),
        distribution_html=report(
            "results/tables/table1_distribution.html",
            caption="../report/table1_distribution.rst",
            category="Tables",
            subcategory="Table 1",
            labels={"table": "all categories", "format": "table to read"},
        ),
        distribution_md="results/tables/table1_distribution.md",
        distribution_tex="results/tables/table1_distribution.tex",
    log:
        "logs/tabulate_dependencies.log",
    benchmark:
        "logs/benchmarks/tabulate_dependencies.tsv"
    priority: TABLE1_FIRST
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        fit=FIT,
        test=TEST,
        support_size=config["tables"]["table1"]["support_size"],
        max_support=config["covlasso"]["max_support"],
        choose_by=config["tables"]["table1"]["choose_by"],
        min_positives=config["tables"]["table1"]["min_positives"],
    script:
        "../scripts/tabulate_dependencies.py"


rule tabulate_networks:
    """Write the sanity row of every network: accuracy, size, mean logit, bound on the rank."""
    input:
        logits=expand(f"results/logits/{{model}}/{TEST}.zarr", model=MODELS),
        cards=expand("results/networks/{model}/card.json", model=NETWORKS),
    output:
        csv=report(
            "results/tables/networks.csv",
            caption="../report/networks.rst",
            category="Tables",
            subcategory="Networks",
            labels={"table": "networks", "format": "CSV"},
        ),
        html=report(
            "results/tables/networks.html",
            caption="../report/networks.rst",
            category="Tables",
            subcategory="Networks",
            labels={"table": "networks", "format": "table to read"},
        ),
        md="results/tables/networks.md",
        tex="results/tables/networks.tex",
    log:
        "logs/tabulate_networks.log",
    benchmark:
        "logs/benchmarks/tabulate_networks.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        models=MODELS,
        described=NETWORKS,
        test=TEST,
    script:
        "../scripts/tabulate_networks.py"


rule lay_out_table:
    """Lay one of Tables 1 to 4 out as the paper does, with its own numbers beneath on ImageNet."""
    input:
        table="results/tables/table{number}.csv",
        paper=PAPER_TABLES,
    output:
        csv=report(
            "results/tables/table{number}_paper.csv",
            caption="../report/table_paper.rst",
            category="Tables",
            subcategory="Table {number}",
            labels={"table": "as the paper lays it out", "format": "CSV"},
        ),
        html=report(
            "results/tables/table{number}_paper.html",
            caption="../report/table_paper.rst",
            category="Tables",
            subcategory="Table {number}",
            labels={"table": "as the paper lays it out", "format": "table to read"},
        ),
        md="results/tables/table{number}_paper.md",
        tex="results/tables/table{number}_paper.tex",
    log:
        "logs/lay_out_table/{number}.log",
    benchmark:
        "logs/benchmarks/lay_out_table/{number}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        dataset=DATASET,
        choice=PAPER_CHOICE,
    script:
        "../scripts/lay_out_table.py"


rule write_findings:
    """Write what a run says of the paper's claims: a verdict, its number and its control."""
    input:
        tables=findings_tables(),
    output:
        findings="results/findings.md",
        page=report(
            "results/findings.html",
            caption="../report/findings.rst",
            category="Findings",
        ),
    log:
        "logs/write_findings.log",
    benchmark:
        "logs/benchmarks/write_findings.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        about=(
            f"Data set {DATASET}, {N_CATEGORIES} categories, networks {', '.join(MODELS)}; fitted on the "
            f"images of {FIT}, judged on those of {TEST}."
        ),
    script:
        "../scripts/write_findings.py"


rule write_crate:
    """Write what the run made, from what and how, as the metadata of an RO-Crate."""
    input:
        outputs=made_outputs(),
    output:
        crate=CRATE,
    log:
        "logs/write_crate.log",
    benchmark:
        "logs/benchmarks/write_crate.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        about=(
            f"Data set {DATASET}, {N_CATEGORIES} categories, networks {', '.join(MODELS)}; fitted on the "
            f"images of {FIT}, judged on those of {TEST}."
        ),
    script:
        "../scripts/write_crate.py"
