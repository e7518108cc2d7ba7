"""The runner: expands a sweep into cells, runs each in its own process, keeps every outcome."""
