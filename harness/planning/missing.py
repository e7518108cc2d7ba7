"""The error for missing data: one table of tasks, and one command that downloads the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.base import Download, MissingData


def missing_lines(missing: Sequence[MissingData], source: object) -> list[str]:
    """Return the lines of an error: one line for one task, else a table, a command and remedies."""
    if len(missing) < 2:
        return [f"{source}: tasks: {error}" for error in missing]
    width = max(len(error.task) for error in missing)
    lines = [f"{source}: tasks: the data of {len(missing)} tasks is not on this machine:"]
    lines += [f"  {error.task:<{width}}  {error.what}" for error in missing]
    downloads = joined(error.download for error in missing if error.download)
    if downloads:
        commands = " && ".join(download.command() for download in downloads)
        lines.append(f"get it: {commands}")
        lines.append("or name a folder that holds these repositories in $BENCH_LONG_HUB")
    others: dict[str, list[str]] = {}
    for error in missing:
        if not error.download:
            others.setdefault(error.remedy, []).append(error.task)
    lines += [f"{', '.join(names)}: {remedy}" for remedy, names in others.items()]
    return lines


def joined(downloads: Iterable[Download]) -> list[Download]:
    """Merge downloads of the same revision of a repository into one."""
    patterns: dict[tuple[str, str | None], list[tuple[str, ...]]] = {}
    for download in downloads:
        place = (download.repository, download.revision)
        patterns.setdefault(place, []).append(download.include)
    return [
        Download(*place, () if () in wanted else tuple(dict.fromkeys(p for w in wanted for p in w)))
        for place, wanted in patterns.items()
    ]
