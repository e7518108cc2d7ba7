"""Results in the formats of other tools: LaTeX, Markdown, Parquet, PEFT's method comparison."""
