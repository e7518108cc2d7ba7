"""The loss of a causal language model in chunks of tokens, without a tensor of all logits.

A float32 logit matrix for 1,024 tokens and a vocabulary of 49,152 takes 200 MB, and a full loss
keeps several copies. Here the logits of one chunk exist at a time. Tokens without a label have
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tasks.lib.encoding import IGNORED

CHUNK = 128
"""Tokens whose logits exist at the same time."""

_TOLERANCE = 1e-4
"""Largest difference from the full loss, in nats, in the check of a model."""


@dataclass
class TokenLosses:
    """The output of a model with a chunked loss.

    Attributes:
        loss: the mean over the tokens with a label.
        losses: without gradients: the loss of each token behind the first, of shape (rows,
            tokens - 1), 0 without a label.
        correct: of the same shape, whether the token had the highest logit.
    """

    loss: torch.Tensor
    losses: torch.Tensor | None = None
    correct: torch.Tensor | None = None


def use_chunked_loss(model: Any) -> bool:
    """Make a causal language model compute its loss in chunks, and return whether it does.

    Only calls with `labels` change. A model that changes its logits behind the output layer
    (soft-capping, scaling) keeps its full loss: a short batch is compared. The first
    `model.virtual_tokens` tokens, if the model has this attribute, have no loss.
    """
    full = model.forward
    head = model.get_output_embeddings()

    @wraps(full)
    def forward(
        input_ids: torch.Tensor | None = None, labels: torch.Tensor | None = None, **inputs: Any
    ) -> Any:
        if labels is None:
            return full(input_ids=input_ids, **inputs)
        states = model.base_model(input_ids=input_ids, **inputs)[0]
        if skipped := getattr(model, "virtual_tokens", 0):
            states, labels = states[:, skipped:], labels[:, skipped:]
        return chunked_loss(states, head, labels)

    if head is None:
        return False
    empty = model.device.type == "meta"
    if not (_keeps_logits(model, full, head) if empty else _equal(model, full, forward)):
        return False
    model.forward = forward
    return True


def _equal(model: Any, full: Any, forward: Any) -> bool:
    """Whether both forward passes have the same loss on a short random text."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, int(model.config.vocab_size), (1, 16), generator=generator)
    ids = ids.to(model.device)
    training = model.training
    model.eval()
    with torch.no_grad():
        one = full(input_ids=ids, labels=ids).loss
        other = forward(input_ids=ids, labels=ids).loss
    model.train(training)
    return bool((one - other).abs() <= _TOLERANCE)


def _keeps_logits(model: Any, full: Any, head: nn.Module) -> bool:
    """Whether a model without numbers returns the output of its last layer unchanged."""
    made: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _, __, output: made.append(output))
    try:
        with torch.no_grad():
            ids = torch.zeros((1, 16), dtype=torch.long, device=model.device)
            logits = full(input_ids=ids).logits
    finally:
        hook.remove()
    stores = [tensor.untyped_storage()._cdata for tensor in (logits, made[-1])]
    return bool(stores[0] == stores[1] and logits._version == made[-1]._version == 0)


def chunked_loss(states: torch.Tensor, head: nn.Module, labels: torch.Tensor) -> TokenLosses:
    """Return the mean loss of the tokens behind the first; each is predicted by the one before.

    Args:
        states: last hidden states, of shape (rows, tokens, width).
        head: the output layer.
        labels: token ids of shape (rows, tokens), IGNORED where there is no loss.
    """
    following = labels[:, 1:]
    scored = following != IGNORED
    wanted, inputs = following[scored], states[:, :-1][scored]
    if torch.is_grad_enabled():
        weights = [weight for weight in head.parameters() if weight.requires_grad]
        return TokenLosses(_MeanLoss.apply(head, wanted, inputs, *weights))  # type: ignore[no-untyped-call]
    losses = torch.zeros(scored.shape, device=states.device)
    correct = torch.zeros_like(scored)
    parts = [_compared(head(part).float(), ids) for _, part, ids in chunks(inputs, wanted)]
    if parts:
        losses[scored] = torch.cat([one for one, _ in parts])
        correct[scored] = torch.cat([hit for _, hit in parts])
    return TokenLosses(losses.sum() / scored.sum(), losses, correct)


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `losses` and `correct` of `TokenLosses` from all logits (rows, tokens, vocabulary)."""
    # Row by row: a float32 copy of all logits would be the largest tensor in memory.
    pairs = zip(logits, labels[:, 1:], strict=True)
    each = [_compared(row[:-1].float(), ids) for row, ids in pairs]
    return torch.stack([one for one, _ in each]), torch.stack([hit for _, hit in each])


def _compared(logits: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each token, and whether it has the highest logit."""
    losses = F.cross_entropy(logits, ids, reduction="none", ignore_index=IGNORED)
    return losses, logits.argmax(-1) == ids


def chunks(states: torch.Tensor, ids: torch.Tensor) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    """The number of the first token, the states and the ids of each chunk."""
    pairs = zip(torch.split(states, CHUNK), torch.split(ids, CHUNK), strict=True)
    return [(place * CHUNK, *pair) for place, pair in enumerate(pairs)]


class _MeanLoss(torch.autograd.Function):
    """The mean cross-entropy, whose gradients are computed in the forward pass, chunk by chunk.

    So no chunk's logits are kept or computed twice.
    """

    @staticmethod
    def forward(
        ctx: Any, head: nn.Module, ids: torch.Tensor, states: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        total = states.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(states)
        sums: list[torch.Tensor] = [torch.zeros_like(weight) for weight in weights]
        for start, part, wanted in chunks(states, ids):
            with torch.enable_grad():
                inputs = part.detach().requires_grad_()
                logits = head(inputs)
            logs = logits.detach().float().log_softmax(-1)
            total -= logs.gather(1, wanted[:, None]).sum()
            slope = logs.exp_()  # of the loss by the logits: probabilities, less 1 for the token
            slope[torch.arange(len(wanted), device=slope.device), wanted] -= 1
            first, *others = torch.autograd.grad(logits, (inputs, *weights), slope.to(logits.dtype))
            gradient[start : start + CHUNK] = first
            for one, other in zip(sums, others, strict=True):
                one += other
        count = max(1, len(ids))
        ctx.save_for_backward(gradient, *sums)
        ctx.count = count
        return total / count

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> Any:
        return None, None, *(one * (scale / ctx.count) for one in ctx.saved_tensors)
