"""Floating-point operations of known computations."""

from __future__ import annotations

import pytest
import torch

from harness.models.chunked_loss import chunked_loss
from harness.training import work
from harness.training.work import count_work


def test_a_layer_and_attention() -> None:
    layer = torch.nn.Linear(8, 16)
    x = torch.randn(4, 8, requires_grad=True)
    product = 2 * 4 * 8 * 16
    assert count_work(lambda: layer(x)).flops == product
    assert count_work(lambda: layer(x).sum().backward()).flops == 3 * product
    with torch.inference_mode():
        assert count_work(lambda: layer(x)).matmul_flops == product
    q = torch.randn(1, 2, 64, 16, requires_grad=True)
    attention = torch.nn.functional.scaled_dot_product_attention
    product = 2 * 2 * 64 * 64 * 16
    assert count_work(lambda: attention(q, q, q)).attention_flops == 2 * product
    both = count_work(lambda: attention(q, q, q).sum().backward())
    assert (both.attention_flops, both.matmul_flops) == ((2 + 5) * product, 0)


def test_attention_with_fewer_heads_of_key_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of a GPU get them so, and the formulas of PyTorch 2.11 refuse them."""

    def strict(query: torch.Tensor, key: torch.Tensor, *_: object, **__: object) -> int:
        assert query.shape[:2] == key.shape[:2]
        return query.shape[1]

    def strict_backward(_: object, *args: torch.Tensor, **__: object) -> int:
        return 10 * strict(*args)

    aten = torch.ops.aten
    kernel = aten._scaled_dot_product_flash_attention_for_cpu
    monkeypatch.setitem(work._ATTENTION, kernel, strict)
    backward = aten._scaled_dot_product_flash_attention_for_cpu_backward
    monkeypatch.setitem(work._ATTENTION, backward, strict_backward)
    q = torch.randn(1, 6, 64, 16, requires_grad=True)
    k = torch.randn(1, 2, 64, 16, requires_grad=True)
    attention = torch.nn.functional.scaled_dot_product_attention
    counted = count_work(lambda: attention(q, k, k, enable_gqa=True).sum().backward())
    assert counted.attention_flops == 66


def test_a_chunked_loss() -> None:
    """Its gradients are taken within the forward pass: three products of states and weights."""
    head = torch.nn.Linear(8, 32, bias=False)
    states = torch.randn(1, 17, 8, requires_grad=True)
    labels = torch.randint(0, 32, (1, 17))
    work = count_work(lambda: chunked_loss(states, head, labels).loss.backward())
    assert work.flops == 3 * 2 * 16 * 8 * 32


def test_moved_bytes() -> None:
    x = torch.zeros(10)
    work = count_work(lambda: (x.view(2, 5) + 1).t())
    assert (work.moved_bytes, work.flops) == (2 * 40, 0)


def test_sparse_tensors_have_no_size() -> None:
    sparse = torch.eye(4).to_sparse()
    work = count_work(lambda: sparse * 2)
    assert work.operators
