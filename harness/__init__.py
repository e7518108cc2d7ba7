"""The runner: expands a sweep into cells, runs each in a process of its own, keeps every outcome."""
