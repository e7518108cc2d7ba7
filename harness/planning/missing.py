"""Data that several tasks lack: one table, and one command that gets all that the hub has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.base import Download, MissingData


def missing_lines(missing: Sequence[MissingData], source: object) -> list[str]:
    """Lines of an error: one for one task; for more a table, commands and other remedies."""
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
    """As few downloads as get the same files: one for each revision of a repository."""
    patterns: dict[tuple[str, str | None], list[tuple[str, ...]]] = {}
    for download in downloads:
        place = (download.repository, download.revision)
        patterns.setdefault(place, []).append(download.include)
    return [
        Download(*place, () if () in wanted else tuple(dict.fromkeys(p for w in wanted for p in w)))
        for place, wanted in patterns.items()
    ]
