"""The classification head on a backbone: token states to logits and loss."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness.models.blocks import replaced
from tasks.types import task_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from tasks.types.base import TaskType


_STD = 0.02
"""Standard deviation of the initial weights of a classifier."""


@dataclass
class Answer:
    """Logits of shape (batch, answers) in float32, and the mean loss (a scalar).

    Without labels the loss is NaN, and logits are those of the head, of shape (rows, outputs).
    """

    loss: torch.Tensor
    logits: torch.Tensor


class Classifier(nn.Module):
    """A linear layer on the token states of an encoder, without padding.

    It reads the mean of the token states plus the state of one token that has seen the whole text:
    the first of an encoder, the last of a decoder. A mean alone dilutes token interactions in long
    texts; one token alone is worse on topics (docs/log/2026-11-27-training-texts.md and
    docs/log/2026-11-27-beyond-512-tokens.md). The layer is called `classifier`, and adapters keep
    it trainable under that name.

    Args:
        encoder: returns `last_hidden_state` of shape (rows, tokens, width).
        outputs: number of outputs per row.
        kind: the task type, which defines the loss; classification by default.

    Attributes:
        below: the blocks that `states` of `forward` replace.
    """

    base_model_prefix = "encoder"

    def __init__(
        self, encoder: PreTrainedModel, outputs: int, kind: TaskType | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.config: Any = encoder.config
        self.kind = kind or task_type("classification")
        self.is_bidirectional = _is_bidirectional(encoder)
        self.segments = segments_of(encoder)
        self.below: Sequence[nn.Module] = ()
        self.reads_globally = "global_attention_mask" in signature(encoder.forward).parameters
        self.classifier = nn.Linear(int(encoder.config.hidden_size), outputs)
        nn.init.normal_(self.classifier.weight, std=_STD)
        nn.init.zeros_(self.classifier.bias)

    # Attributes and methods that PEFT and transformers expect of a model.

    @property
    def device(self) -> torch.device:
        """Of the encoder."""
        device: torch.device = self.encoder.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the encoder."""
        dtype: torch.dtype = self.encoder.dtype
        return dtype

    @property
    def name_or_path(self) -> str:
        """Of the encoder."""
        return str(self.encoder.name_or_path)

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Of the encoder. Without it, PEFT assumes True and enables gradients of the inputs."""
        return any(getattr(m, "gradient_checkpointing", False) for m in self.encoder.modules())

    def gradient_checkpointing_enable(self, **settings: Any) -> None:
        """Turn it on in the encoder."""
        self.encoder.gradient_checkpointing_enable(**settings)

    def gradient_checkpointing_disable(self) -> None:
        """Turn it off in the encoder."""
        self.encoder.gradient_checkpointing_disable()

    def enable_input_require_grads(self) -> None:
        """Enable gradients of the embeddings' output, which reentrant checkpointing needs."""
        self.encoder.enable_input_require_grads()

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's token embeddings."""
        table: nn.Module = self.encoder.get_input_embeddings()
        return table

    def get_output_embeddings(self) -> None:
        """Return None: there is no language-model head."""
        return None

    def can_generate(self) -> bool:
        """Return False: the answers are labels."""
        return False

    def init_from_label_tokens(self, table: torch.Tensor, words: Sequence[Sequence[int]]) -> None:
        """Initialise each output from the language-model head's rows for its label name.

        A decoder's last state times such a row is the logit of that token, so the label words are
        known from the start (Schick and Schütze, Exploiting Cloze Questions for Few Shot Text
        Classification and Natural Language Inference, EACL 2021). The rows are scaled to the size
        of a random initialisation (docs/log/2026-11-27-beyond-512-tokens.md).

        Args:
            table: weights of the language-model head, of shape (vocabulary, width).
            words: token ids of each label name; for several tokens, their mean row is used.
        """
        rows = torch.stack([table[list(ids)].mean(0) for ids in words])
        rows = rows - rows.mean(0)
        with torch.no_grad():
            self.classifier.weight.copy_(rows * (_STD / rows.std()))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        states: torch.Tensor | None = None,
    ) -> Answer:
        """Return logits and loss; ids: (rows, tokens), labels: (batch,) or (batch, labels).

        `states` were computed before: those after the blocks `below`, of shape (rows, tokens,
        width), which are skipped then, or the output of `summary`, of shape (rows, width).
        """
        if states is not None and states.dim() == 2:
            summary = states
        elif states is not None:
            with replaced(self.below, lambda _: states):
                summary = self.summary(input_ids, attention_mask, token_type_ids)
        else:
            summary = self.summary(input_ids, attention_mask, token_type_ids)
        logits = self.classifier(summary).float()
        if labels is None:
            return Answer(logits.new_tensor(torch.nan), logits)
        return Answer(*self.kind.loss(logits, labels))

    def summary(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what the linear layer reads, of shape (rows, width)."""
        kinds: dict[str, torch.Tensor] = {}
        if token_type_ids is not None and self.segments > 1:
            kinds["token_type_ids"] = token_type_ids
        if self.reads_globally:  # in Longformer only such a token sees the whole text
            kinds["global_attention_mask"] = torch.zeros_like(input_ids)
            kinds["global_attention_mask"][:, 0] = 1
        # Right padding needs no mask under causal attention. Without a mask PyTorch uses its causal
        # kernel, which is faster.
        seen = attention_mask if self.is_bidirectional else None
        states = self.encoder(input_ids=input_ids, attention_mask=seen, **kinds).last_hidden_state
        mask = attention_mask.unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        rows = torch.arange(len(states), device=states.device)
        whole = 0 if self.is_bidirectional else attention_mask.sum(1) - 1
        summary: torch.Tensor = mean + states[rows, whole]
        return summary


def _is_bidirectional(encoder: PreTrainedModel) -> bool:
    """Whether a token's state depends on the token after it, found with one forward pass.

    True if nothing can be run (torch's `meta` device).
    """
    if any(weight.is_meta for weight in encoder.parameters()):
        return True
    ids = torch.tensor([[1, 2], [1, 3]], device=encoder.device)
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    encoder.train(training)
    if states.shape[:2] != ids.shape:
        raise ValueError(f"{tuple(ids.shape)} tokens have states of shape {tuple(states.shape)}")
    one, other = states[:, 0].float()
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def segments_of(encoder: PreTrainedModel) -> int:
    """Return the number of segment types of a model: the rows of its token-type table.

    If there are 0 or 1, the segments of the tokenizer are ignored: GPT-2 would add the embeddings
    of the tokens 0 and 1.
    """
    for name, weight in encoder.named_parameters():
        if "token_type_embeddings" in name or "segment_embeddings" in name or "seg_embed" in name:
            return int(weight.shape[0])
    return 0
