"""`make gpu-slice`: run the next slice of the GPU sweeps. Standard library only.

Carried parts (`make gpu-pack`) are kept outside the working tree until all are there. Then their
wheels and data are put in place and the sweeps run for a limited time. Results of earlier slices
are read from `published/`; all results so far are written to one file, `slice.tgz`, in `--out`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carry.parts import Cargo, CarryError, code_digest, join, keep, missing

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = ("gpu.yaml", "gpu-cost-1b.yaml", "gpu-levers.yaml", "gpu-cost.yaml")
ARCHIVE = "slice.tgz"
PARTS_MISSING = 3
"""Exit code: more parts are needed."""
_LEAST = 20.0
"""Seconds that a step needs at least: it imports torch and reads its sweep."""
_GRACE = 60.0
"""Seconds after the end of the time in which running cells may end."""


@dataclass(frozen=True)
class Step:
    """A sweep to run; `arguments` are passed to `bench-long run`."""

    sweep: Path
    arguments: tuple[str, ...] = ()


def steps(sweeps: Sequence[Path], only_probes: bool, keys: Sequence[str] = ()) -> list[Step]:
    """The steps of a slice in the order of their worth: all probes, then training.

    `keys` override keys of the sweeps, such as `probe.lengths=[8192]`.
    """
    own = _settings(*keys)
    probes = _settings("tasks=[]", "lengths=[]", "train={}")
    first = [Step(sweep, (*own, *probes)) for sweep in sweeps]
    return first if only_probes else [*first, *(Step(sweep, own) for sweep in sweeps)]


def _settings(*keys: str) -> tuple[str, ...]:
    return tuple(word for key in keys for word in ("--set", key))


def environment(joined: Path | None, cargo: Cargo | None, store: Path) -> dict[str, str]:
    """The environment of the steps."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Costs are predicted where there is time for it.
    found = {**os.environ, "HF_HUB_OFFLINE": "1", "BENCH_LONG_NO_COST": "1"}
    if joined and cargo:
        paths = [str(_site(joined)), *paths]
        found["BENCH_LONG_FROZEN"] = str(joined / "frozen")
        found.setdefault("BENCH_LONG_CACHE", str(store / "cache"))
        same = code_digest(ROOT) == cargo.notes.get("code")
        commit = str(cargo.notes.get("commit"))
        found["BENCH_LONG_COMMIT"] = commit if same or "+" in commit else f"{commit}+changes"
    return {**found, "PYTHONPATH": os.pathsep.join(paths)}


def _site(joined: Path) -> Path:
    """The folder of the carried packages; wheels are unpacked into it once.

    A wheel is a zip archive of its files, and none of these has scripts or data to install.
    """
    site = joined / "site"
    done = joined / "unpacked"
    if not done.is_file():
        for wheel in sorted((joined / "wheels").glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)  # noqa: S202  # its checksum was verified
        done.touch()
    return site


def run_slice(
    todo: Sequence[Step], out: Path, runs: Path, published: Path, seconds: float,
    env: dict[str, str], workers: int,
) -> int:  # fmt: skip
    """Run steps until the time is used, and write all results so far; return the worst code."""
    end = time.monotonic() + seconds
    packed = runs / "packed"
    worst = 0
    seen: set[str] = set()
    for step in todo:
        name = step.sweep.stem
        folder = runs / name
        if name not in seen and (published / name / "cells.jsonl.gz").is_file():
            _bench_long(["publish", str(published / name), "--to", str(folder), "--partial"], env)
        seen.add(name)
        left = end - time.monotonic()
        if left < _LEAST:
            print(f"{name}: no time is left", flush=True)
            break
        words = ["run", str(step.sweep), "--out", str(folder), "--for", f"{left:.0f}"]
        code = _bench_long([*words, "--workers", str(workers), *step.arguments], env, left + _GRACE)
        worst = max(worst, code if code != 130 else 1)
        if any((folder / "cells").glob("*.json")):
            # After each step, because the machine may end this process at any time.
            _bench_long(["publish", str(folder), "--to", str(packed / name), "--partial"], env)
            _write_failures(folder, packed / name / "failures.txt")
            _write_archive(packed, out / ARCHIVE)
    return worst


def _write_archive(folder: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_suffix(".tmp")
    with tarfile.open(part, "w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    part.replace(to)


def _bench_long(words: Sequence[str], env: dict[str, str], limit: float | None = None) -> int:
    """Run a command of bench-long; after `limit` seconds it is interrupted, then killed."""
    command = [sys.executable, "-m", "harness", *words]
    print("$ bench-long " + " ".join(words), flush=True)
    with subprocess.Popen(command, env=env, cwd=ROOT) as process:  # noqa: S603
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # results are kept
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _write_failures(folder: Path, to: Path) -> None:
    """The ends of the logs of a run in one file; logs of good cells have no traceback."""
    found = []
    for log in sorted((folder / "logs").glob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace")
        if "Traceback" in text:
            found.append(f"== {log.name}\n{text[-3000:]}")
    if found:
        to.write_text("\n".join(found)[: 2**20], encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the parts that are here, and run a slice once all are."""
    parser = argparse.ArgumentParser(prog="make gpu-slice", description=__doc__)
    parser.add_argument("sweeps", type=Path, nargs="*")
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "gpu-results"))
    parser.add_argument("--carried", type=Path, default=ROOT / ".carry")
    parser.add_argument("--store", type=Path, default=Path.home() / ".cache" / "bench-long-carried")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--published", type=Path, default=ROOT / "published")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--probes", action="store_true", help="cost probes only")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="keys")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    sweeps = options.sweeps or [ROOT / "sweeps" / name for name in SWEEPS]
    joined, cargo = None, None
    try:
        for part in sorted(path.parent for path in options.carried.glob("*/list.json")):
            cargo = keep(part, options.store)
        if cargo:
            if lacking := missing(cargo, options.store):
                print(f"kept; still missing: part {', '.join(map(str, lacking))}")
                return PARTS_MISSING
            joined = join(cargo, options.store)
        env = environment(joined, cargo, options.store)
    except CarryError as error:
        print(f"make gpu-slice: {error}", file=sys.stderr)
        return 2
    todo = steps([sweep for sweep in sweeps if sweep.is_file()], options.probes, options.keys)
    left = options.seconds - (time.monotonic() - started)
    return run_slice(todo, options.out, options.runs, options.published, left, env, options.workers)


if __name__ == "__main__":
    sys.exit(main())
