"""The runner: expands a sweep into cells, runs each in its own process, keeps every outcome."""

import bench_long  # noqa: F401  # binds the names of the four packages to this project's
