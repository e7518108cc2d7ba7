"""Memory, bandwidth and peak FLOP/s of devices that a sweep can be priced for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.core.errors import BadInput, nearest

_UNITS = {
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
_WORKSPACES, _WORKSPACES_HOPPER = 17 * 2**20 + 2**18, 65 * 2**20
"""What PyTorch gives cuBLAS: 8.125 MiB for each of two threads (forward and backward pass), 32 MiB
from compute capability 9.0 on (`CUBLAS_WORKSPACE_CONFIG`), and 1 MiB for cuBLASLt."""

_SIZE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]i?b)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Device:
    """A device, or a size of memory alone.

    Attributes:
        name: as users write it.
        memory_bytes: its memory; of NVIDIA devices the total that `nvidia-smi` reports.
        bytes_per_s: bandwidth of its memory. None: unknown.
        flops_per_s: peak of dense matrix products by number format, with float32 accumulation.
            float32 is without TF32, which PyTorch does not use by default.
        source: where bandwidth and peaks are from.
        workspace_bytes: what matrix products take beside tensors. 0: unknown.
    """

    name: str
    memory_bytes: int
    bytes_per_s: float | None = None
    flops_per_s: dict[str, float] = field(default_factory=dict)
    source: str = ""
    workspace_bytes: int = 0


def _device(
    name: str, mib: int, gb_per_s: float, float32: float, bfloat16: float, source: str,
    workspace: int = _WORKSPACES,
) -> Device:  # fmt: skip
    peaks = {"float32": float32 * 1e12, "bfloat16": bfloat16 * 1e12}
    return Device(name, mib * 2**20, gb_per_s * 1e9, peaks, source, workspace)


DEVICES = {
    device.name: device
    for device in (
        _device(
            "h200", 143_771, 4800, 66.9, 989.4, "NVIDIA H200 data sheet (SXM)", _WORKSPACES_HOPPER
        ),
        _device(
            "h100", 81_559, 3350, 66.9, 989.4, "NVIDIA H100 data sheet (SXM)", _WORKSPACES_HOPPER
        ),
        _device("a100-80", 81_920, 2039, 19.5, 312, "NVIDIA A100 data sheet (SXM, 80 GB)"),
        _device("a100-40", 40_960, 1555, 19.5, 312, "NVIDIA A100 data sheet (SXM, 40 GB)"),
        _device("l40s", 46_068, 864, 91.6, 362.05, "NVIDIA L40S data sheet"),
        _device("l4", 23_034, 300, 30.3, 121, "NVIDIA L4 data sheet"),
        _device("a10", 23_028, 600, 31.2, 125, "NVIDIA A10 data sheet"),
        _device("rtx4090", 24_564, 1008, 82.6, 165.2, "NVIDIA Ada GPU architecture white paper"),
        _device("rtx3090", 24_576, 936, 35.6, 71, "NVIDIA Ampere GA102 white paper"),
        _device("mi300x", 196_592, 5300, 163.4, 1307.4, "AMD Instinct MI300X data sheet", 0),
    )
}
"""Devices by name. Bandwidth is in GB/s and peaks are in TFLOP/s, as data sheets have them."""


def find_device(text: str, where: str) -> Device:
    """Return the device of a name such as `h100`, or of a size such as `24GiB`.

    Raises:
        BadInput: it is neither.
    """
    if device := DEVICES.get(text.strip().lower()):
        return device
    if (size := _SIZE.fullmatch(text)) and float(size["number"]):
        return Device(text.strip(), int(float(size["number"]) * _UNITS[size["unit"].lower()]))
    raise BadInput(
        f"{where}: '{text:.40}' is no device and no size of memory: use {', '.join(DEVICES)}, or a "
        f"size such as 24GiB.{nearest(text.lower(), DEVICES)}"
    )


def this_gpu() -> Device:
    """Return the GPU of this machine, without its rates."""
    import torch

    found = torch.cuda.get_device_properties(0)
    workspace = _WORKSPACES_HOPPER if found.major >= 9 else _WORKSPACES
    if torch.version.hip:
        workspace = 0
    return Device(found.name, found.total_memory, workspace_bytes=workspace)


def reserve_of(memory_bytes: int) -> int:
    """Return the bytes of a device that tensors cannot have: 5 %, at least 1 GiB."""
    return max(2**30, memory_bytes // 20)
