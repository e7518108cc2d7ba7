"""The loss in chunks equals the full loss, its gradients too, through adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from harness.core.cell import Cell
from harness.models import chunked_loss
from harness.models.backbones import Backbone
from harness.models.chunked_loss import token_losses, use_chunked_loss
from harness.models.load import load_language_model
from harness.training.methods import adapt
from tasks.lib.encoding import IGNORED

ADAPTER = {"density": 1.0, "placement": "alternate", "rank": 4, "alpha": 8.0}
OPTIONS: dict[str, dict[str, Any]] = {"adalora": {"total_step": 100}}


def adapted(folder: Path, method: str, chunked: bool) -> Any:
    """The tiny backbone with a method; adapters start away from zero."""
    fields = {} if method == "full" else ADAPTER
    options = OPTIONS.get(method, {})
    cell = Cell(
        kind="train", task="x", backbone="x", method=method, length=64, seed=0, batch_size=2,
        dtype="float32", device="cpu", uses_lm_head=True, options=options, epochs=1, examples=64,
        **fields,
    )  # fmt: skip
    torch.manual_seed(0)
    model = load_language_model(Backbone("x", folder, ""), 64, 0.0, 0)
    if chunked:
        assert use_chunked_loss(model)
    model = adapt(model, cell).model.train()
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad and method != "full":
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 30000, (2, 40), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :7] = labels[1, 30:] = IGNORED
    return {"input_ids": ids, "labels": labels}


@pytest.mark.parametrize("method", ["full", "lora", "ssmlora", "adalora"])
def test_the_loss_and_its_gradients_are_those_of_all_logits(
    causal: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked_loss, "CHUNK", 16)  # the last chunk has fewer tokens
    found = []
    for chunked in (False, True):
        model = adapted(causal, method, chunked)
        loss = model(**batch()).loss
        loss.backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        found.append((float(loss.detach()), grads))
    (one, full), (other, chunks) = found
    assert other == pytest.approx(one, abs=1e-5)
    assert full.keys() == chunks.keys()
    for name, gradient in full.items():
        torch.testing.assert_close(chunks[name], gradient, rtol=1e-4, atol=1e-6)


def test_no_tensor_holds_the_logits_of_all_tokens(causal: Path) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.shape[-1:] == (30522,):
                largest = max(largest, out.numel())
            return out

    model = adapted(causal, "lora", chunked=True)
    ids = torch.randint(5, 30000, (4, 64))
    with Watch():  # type: ignore[no-untyped-call]
        model(input_ids=ids, labels=ids).loss.backward()
        model.eval()
        with torch.inference_mode():
            model(input_ids=ids, labels=ids)
    assert largest == chunked_loss.CHUNK * 30522 < ids.numel() * 30522


def test_losses_of_tokens_are_those_of_all_logits(causal: Path) -> None:
    inputs = batch()
    with torch.inference_mode():
        logits = adapted(causal, "lora", chunked=False).eval()(**inputs).logits
        seen = adapted(causal, "lora", chunked=True).eval()(**inputs)
    losses, correct = token_losses(logits, inputs["labels"])
    torch.testing.assert_close(seen.losses, losses, rtol=0, atol=1e-5)
    assert torch.equal(seen.correct, correct)
    scored = inputs["labels"][:, 1:] != IGNORED
    assert float(seen.loss) == pytest.approx(float(losses[scored].mean()), abs=1e-5)


def test_without_labels_nothing_changes(causal: Path) -> None:
    model = adapted(causal, "lora", chunked=True).eval()
    assert model(input_ids=batch()["input_ids"]).logits.shape == (2, 40, 30522)


def test_a_model_that_changes_its_logits_keeps_its_full_loss() -> None:
    config = Gemma2Config(
        vocab_size=99, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, head_dim=8,
        num_key_value_heads=1, intermediate_size=16, final_logit_softcapping=0.1,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config)
    torch.nn.init.normal_(model.get_output_embeddings().weight)
    assert not use_chunked_loss(model)
    ids = torch.tensor([[1, 2, 3]])
    assert model(input_ids=ids, labels=ids).logits is not None
