"""Devices by name, and sizes of memory."""

from __future__ import annotations

import pytest

from harness.core.errors import BadInput
from harness.costs.devices import DEVICES, find_device


def test_names_and_sizes() -> None:
    assert find_device("H100", "--device") is DEVICES["h100"]
    size = find_device("24 GiB", "--device")
    assert (size.memory_bytes, size.bytes_per_s, size.flops_per_s) == (24 * 2**30, None, {})
    assert find_device("1.5gb", "--device").memory_bytes == 1_500_000_000


@pytest.mark.parametrize("text", ["h10O", "24", "0GiB", "-1GiB", ""])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--device: ") as refused:
        find_device(text, "--device")
    assert "\n" not in str(refused.value)


def test_every_device_has_a_source() -> None:
    for device in DEVICES.values():
        assert device.source
        assert device.flops_per_s["bfloat16"] > device.flops_per_s["float32"] > 1e13
        assert 1e11 < (device.bytes_per_s or 0) < 1e13
