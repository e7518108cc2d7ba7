"""`bench-long fit`: the longest context that fits, from dry runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from harness.core.errors import BadInput, similar

if TYPE_CHECKING:
    from rich.console import Console

    from harness.core.fits import Fits, Memory
    from harness.costs.fit_table import Question
    from harness.models.backbones import Backbone
    from harness.planning.sweep import Sweep

LEVERS = (
    "default", "{loss: full}", "{checkpointing: full}", "{weights: bfloat16}",
    "{weights: bfloat16, checkpointing: full}", "{weights: bfloat16, attention: eager}",
)  # fmt: skip
"""Levers without `--lever`; a classifier has no choice of loss."""

METHODS = ("full", "lora: {density: [1, 0.5]}", "ssmlora: {density: [1, 0.5]}", "head")
"""Methods without `--method`; a language model has no head."""

_LM = "lm"
_LEAST_RESERVE = 2**30


@click.command()
@click.option(
    "--model",
    required=True,
    help="Embedded, shipped configuration, folder, hub name, or a config.json.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="ENTRY",
    help="As under `methods` of a sweep: lora, 'lora: {density: 0.5}'. May be repeated.",
)
@click.option(
    "--lever",
    "levers",
    multiple=True,
    metavar="ENTRY",
    help="As under `levers` of a sweep: default, '{checkpointing: full}'. May be repeated.",
)
@click.option(
    "--memory",
    required=True,
    multiple=True,
    metavar="DEVICE|SIZE",
    help="Such as h100 or 24GiB. May be repeated.",
)
@click.option(
    "--reserve",
    metavar="SIZE|SHARE",
    help="What tensors cannot have, such as 2GiB or 8% (default: 5 %, at least 1 GiB).",
)
@click.option(
    "--length",
    type=click.IntRange(8, 2**20),
    multiple=True,
    help="Live bytes at this length instead. May be repeated.",
)
@click.option(
    "--task-type",
    type=click.Choice(["classification", _LM]),
    help="Default: lm if the model is a causal language model.",
)
@click.option("--batch-size", type=click.IntRange(1, 65536), default=1, show_default=True)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="bfloat16",
    show_default=True,
    help="Of the computation.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder for files.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one per core).")
def fit(
    model: str,
    methods: tuple[str, ...],
    levers: tuple[str, ...],
    memory: tuple[str, ...],
    reserve: str | None,
    length: tuple[int, ...],
    task_type: str | None,
    batch_size: int,
    dtype: Literal["float32", "bfloat16"],
    to: Path | None,
    workers: int | None,
) -> None:
    """Find the longest context that fits into a memory, for each method with each lever."""
    from harness.cli.console import coloured, make_console
    from harness.core.fits import Fits
    from harness.costs.fit_table import answers
    from harness.models.backbones import is_causal_lm
    from harness.system.machine import describe_machine
    from harness.system.resources import available_cores

    memories = [_memory(text, reserve) for text in memory]
    backbone = _backbone(model)
    causal = is_causal_lm(backbone, "--model")
    if task_type == _LM and not causal:
        raise BadInput(f"--task-type: '{model}' is not a causal language model: use classification")
    task_type = task_type or (_LM if causal else "classification")
    sweep = _sweep(backbone, methods or METHODS, levers or LEVERS)
    cell: Any = {"backbone": backbone.name, "batch_size": batch_size, "dtype": dtype}
    questions = [*_questions(sweep, cell, memories, length, task_type == _LM)]
    rows = []
    with make_console(stderr=True).status("dry runs") as status:
        for place, found in enumerate(answers(questions, backbone, workers or available_cores())):
            rows += found
            status.update(f"dry runs: {place + 1} of {len(questions)} answers")
    seen = describe_machine()
    fits = Fits(
        model=backbone.name,
        revision=backbone.pin,
        memories=memories,
        task_type=task_type,
        batch_size=batch_size,
        dtype=dtype,
        lengths=[*length],
        environment={name: seen.get(name) for name in ("commit", "torch", "transformers", "peft")},
        rows=rows,
    )
    console = make_console()
    _show(fits, console)
    for path in _written(fits, to) if to else ():
        console.print(coloured(f"written: {path}"), soft_wrap=True)


def _sweep(backbone: Backbone, methods: Sequence[str], levers: Sequence[str]) -> Sweep:
    """Read methods and levers as those of a sweep file."""
    from pydantic import ValidationError

    from harness.planning.arms import check_method
    from harness.planning.levers import lever_settings
    from harness.planning.sweep import Sweep
    from harness.planning.validation import explain
    from harness.planning.yaml_files import parse_yaml

    data = {
        "name": "fit",
        "backbone": backbone.name,
        "methods": [parse_yaml(entry, f"--method {entry}") for entry in methods],
        "levers": [parse_yaml(entry, f"--lever {entry}") for entry in levers],
        "controls": [],
        "probe": {"lengths": [8]},
    }
    try:
        sweep = Sweep.model_validate(data)
    except ValidationError as error:
        raise explain(error, Sweep, "fit") from None
    if any(setting.divided for setting in lever_settings(sweep)):
        raise BadInput(
            "--lever: devices: auto: `fit` is about one memory: give a number of devices"
        )
    for method in sweep.methods:
        check_method(method, f"--method {method.type}")
    return sweep


def _questions(
    sweep: Sweep, fields: Any, memories: Sequence[Memory], lengths: Sequence[int], lm: bool
) -> Iterator[Question]:
    """Yield a question for each method with each lever at each length."""
    from harness.core.cell import Cell
    from harness.costs.fit_table import Question
    from harness.planning.arms import arms
    from harness.planning.controls import methods_of
    from harness.planning.levers import lever_settings

    asked: list[int | None] = [*lengths] or [None]
    settings = [one for one in lever_settings(sweep) if lm or not one.loss]
    for method in methods_of(sweep, not lm):
        for arm, (levers, loss, _) in product(arms(method), settings):
            cell = Cell(
                **fields, **arm, kind="probe", task=None, length=8, seed=0, device="cpu",
                levers=levers, uses_lm_head=lm, lm_loss=(loss or "chunked") if lm else None,
            )  # fmt: skip
            name = cell.lever_label or "default"
            for length in asked:
                yield Question(cell.arm_without_levers, name, cell, memories, length)


def _memory(text: str, reserve: str | None) -> Memory:
    """Read a size of memory and what is kept of it."""
    from harness.core.fits import Memory
    from harness.costs.devices import find_device

    size = find_device(text, "--memory").memory_bytes
    if reserve is None:
        kept = max(_LEAST_RESERVE, size // 20)
    elif reserve.endswith("%"):
        kept = int(size * _share(reserve))
    else:
        kept = find_device(reserve, "--reserve").memory_bytes
    if kept >= size:
        raise BadInput(f"--reserve: nothing is left of {text}: give less, such as 5%")
    return Memory(name=text, bytes=size, reserve_bytes=kept)


def _share(text: str) -> float:
    from harness.planning.yaml_files import number_in

    number = number_in(text.removesuffix("%"))
    if number is None or number < 0:
        raise BadInput(f"--reserve: '{text:.40}' is no share: give one such as 5%")
    return number / 100


def _backbone(model: str) -> Backbone:
    """Find a backbone; of a shipped configuration or a folder, only the shape is read."""
    from harness.costs.configurations import find_configuration, shipped_configurations
    from harness.models.backbones import EMBEDDED, find_backbone

    shipped = shipped_configurations()
    path = Path(model).expanduser()
    folder = path.parent if path.name == "config.json" else path
    if model in shipped or (model not in EMBEDDED and (folder / "config.json").is_file()):
        return find_configuration(model, "--model")
    if model not in EMBEDDED and not path.is_dir() and (meant := similar(model, shipped)):
        raise BadInput(f"--model: there is no '{model}'. Did you mean '{meant}'?")
    return find_backbone(model, "--model")


def _show(fits: Fits, console: Console) -> None:
    from rich.table import Table

    from harness.cli.console import coloured

    head, *rows = fits.table()
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < 2 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(coloured, row))
    console.print(table)
    for line in fits.notes():
        console.print(coloured(line), soft_wrap=True)


def _written(fits: Fits, to: Path) -> Iterator[Path]:
    """Write the table as JSON and CSV, and its figure; yield the paths."""
    from harness.core.folder import write_atomically
    from reports.figures.printed import as_png

    to.mkdir(parents=True, exist_ok=True)
    files = {"fit.json": fits.model_dump_json(indent=1) + "\n", "fit.csv": fits.csv()}
    for name, text in files.items():
        write_atomically(to / name, text)
        yield to / name
    if not fits.lengths:
        from harness.cli.fit_figure import draw

        write_atomically(to / "longest-context.png", as_png(draw(fits)))
        yield to / "longest-context.png"
