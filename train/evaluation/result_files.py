"""Names of what an evaluation writes."""

# JSON, which stands for all of them, Markdown, the queries behind them, and the picture.
FILES = ("results.json", "results.md", "per_query.parquet", "ndcg_delta.png")
# The folder that keeps answers.
WORK = "evaluation.work"
