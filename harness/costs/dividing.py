"""How many devices a model is divided over (`devices: auto`): as few as their memory allows."""

from __future__ import annotations

from harness.core.cell import Cell
from harness.core.methods import DIVISIBLE
from harness.costs.devices import reserve_of
from harness.costs.shapes import shape_costs, shape_of
from harness.models.backbones import Backbone
from harness.system.resources import available_cores, gpu_memory, visible_gpus


class Dividing:
    """Chooses the devices of each arm on this machine's GPUs, for the longest of its lengths."""

    def __init__(self, backbone: Backbone, longest: int) -> None:
        self._backbone, self._longest = backbone, longest
        self._known: dict[tuple[str, int], int] = {}

    def divided(self, cell: Cell) -> Cell:
        """Return a cell of one device with the number of devices that its arm needs.

        On a CPU that is one, because devices would share its memory.
        """
        if cell.device != "cuda" or not is_divisible(cell):
            return cell
        shape = shape_of(cell.model_copy(update={"length": self._longest}))
        last_batch = (cell.examples or 0) % cell.batch_size or cell.batch_size
        key = shape.id, min(len(visible_gpus()), last_batch)
        if key not in self._known:
            self._known[key] = least_devices(shape, self._backbone, gpu_memory(), key[1])
        return _with_devices(cell, self._known[key])


def is_divisible(cell: Cell) -> bool:
    """Whether the model of a cell can be divided over devices at all."""
    levers = cell.levers
    quantised = levers.weights in ("8bit", "4bit")
    return cell.method in DIVISIBLE and not (quantised or levers.micro_batch or levers.packing)


def least_devices(cell: Cell, backbone: Backbone, memory_bytes: int, most: int) -> int:
    """Return the smallest number of devices whose share of a step fits into their memory.

    By dry runs, with the reserve of `reserve_of`. `most` if none fits or nothing is predicted: the
    bill of the sweep marks such cells.

    Args:
        memory_bytes: of one device.
        most: devices that there are, and texts in the smallest batch.
    """
    limit = memory_bytes - reserve_of(memory_bytes)
    for number in range(1, most):
        shape = shape_of(_with_devices(cell, number))
        (cost,) = shape_costs([shape], backbone, available_cores()).values()
        if cost.train is None or cost.eval is None:
            break
        if max(cost.train.peak_bytes, cost.eval.peak_bytes) <= limit:
            return number
    return max(1, most)


def _with_devices(cell: Cell, number: int) -> Cell:
    levers = cell.levers.model_copy(update={"devices": number})
    return cell.model_copy(update={"levers": levers})
