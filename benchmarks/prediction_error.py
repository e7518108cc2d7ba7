"""The error of predicted costs, on lengths and arms that were not used for fitting.

    python benchmarks/prediction_error.py [--small] [--clock cpu]

Runs probes of MiniLM and SmolLM2 with all methods in this process, prices the same cells, and
prints median and worst relative error of live bytes and of step times. Times are fitted to the
small models of the calibration, so no measured arm or length is one of the fit. Run it on a quiet
machine; with `--clock cpu` times are those of the processor, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch

from harness.core.result import CellResult
from harness.core.timing import PHASES, middle
from harness.costs.calibration import calibration
from harness.costs.rates import Rates, fitted
from harness.costs.shapes import ShapeCost, shape_costs, shape_of
from harness.execution.cell_main import run_cell
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import load_sweep
from harness.system.machine import describe_machine

_SWEEP = """\
name: error
backbone: {backbone}
methods:
  - full
  - lora: {{density: [1, 0.5]}}
  - ssmlora: {{density: [1, 0.5, 0.25]}}
  - ia3
  - lora: {{use_dora: true}}
controls: {controls}
probe: {{lengths: {lengths}, steps: 3, seconds: 0{decode}}}
dtype: float32
"""

_CASES = {"minilm": [512, 1024, 2048], "smollm2": [512, 1024]}
_SMALL = {"minilm": [512, 1024], "smollm2": [512]}


def planned(backbone: str, lengths: list[int], folder: Path) -> Plan:
    """The probes of a backbone."""
    path = folder / f"{backbone}.yaml"
    causal = backbone == "smollm2"
    text = _SWEEP.format(
        backbone=backbone,
        lengths=lengths,
        controls="[]" if causal else "[head]",
        decode=", decode: 2" if causal else "",
    )
    path.write_text(text)
    return make_plan(load_sweep(path), path)


def errors(result: CellResult, cost: ShapeCost, rates: Rates, clock: str) -> dict[str, float]:
    """Relative errors of a probe by quantity."""
    measured, timing = result.cost, result.timing
    assert measured is not None
    assert timing is not None
    found = {}
    for phase in PHASES:
        step = cost.train if phase == "train" else cost.eval
        live = getattr(measured, f"{phase}_live_peak_bytes")
        if step is None or live is None:  # the untrained backbone
            continue
        found[f"live bytes, {phase}"] = step.peak_bytes / live - 1
        name = f"{phase}_round_s" if clock == "wall" else f"{phase}_round_cpu_s"
        found[f"seconds, {phase}"] = rates.time(step.work) / middle(getattr(timing, name)) - 1
    return found


def main() -> None:
    """Measure, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="fewer and shorter lengths")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    known = calibration("float32", "cpu", describe_machine())
    assert known is not None
    rates = fitted(known.points, chosen.clock)
    found: dict[str, list[tuple[float, str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for backbone, lengths in (_SMALL if chosen.small else _CASES).items():
            plan = planned(backbone, lengths, Path(folder))
            costs = shape_costs(plan.cells, plan.backbone, 2)
            for cell in plan.cells:
                cost = costs[shape_of(cell).id]
                result = run_cell(cell, plan.backbone)
                place = f"{backbone} {cell.arm} at {cell.length}"
                if not result.ok or cost.reason:
                    print(f"{place}: {cost.reason or result.error}", flush=True)
                    continue
                own = errors(result, cost, rates, chosen.clock)
                texts = (f"{name} {100 * value:+.1f} %" for name, value in own.items())
                print(f"{place}: {', '.join(texts)}", flush=True)
                for name, value in own.items():
                    found.setdefault(name, []).append((abs(value), place))
    for name, values in found.items():
        worst, place = max(values)
        middle_error = median(value for value, _ in values)
        print(
            f"{name}: median {100 * middle_error:.1f} %, worst {100 * worst:.1f} % ({place}), "
            f"{len(values)} probes"
        )


if __name__ == "__main__":
    main()
