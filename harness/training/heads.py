"""What stands on a backbone: from token states to an answer, by the task's family."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tasks.types import task_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from tasks.types.base import TaskType


_STD = 0.02
"""Of the numbers in a classifier at its start."""


@dataclass
class Answer:
    """Logits of shape (batch, answers) in float32, and the mean loss (a scalar)."""

    loss: torch.Tensor
    logits: torch.Tensor


class Classifier(nn.Module):
    """A linear layer on what an encoder made of a text, padding left out.

    It reads the mean of the token states, for which sentence encoders such as MiniLM were trained,
    and adds the state of a token that has read the whole text: of an encoder the first, of a
    decoder the last. In a mean over a long text what single words tell each other is faint: of
    `needle` of 256 tokens MiniLM knew nothing after 2,816 texts, and .99 after 1,280 with both; of
    `recall` of 96 tokens SmolLM2 with LoRA knew .15 after 768 texts, and .85 with both. Nor is it
    the token alone: of 512 newsgroup texts of 128 tokens SmolLM2 learned .76 with the mean, .57
    with the last token, .75 with both; MiniLM with LoRA .80 with the mean, .86 with both
    (`docs/learned.md`).
    The layer is called `classifier`; adapters keep it trainable under that name.

    Args:
        encoder: returns `last_hidden_state` of shape (rows, tokens, width).
        outputs: numbers for each row.
        kind: the task type, which defines the loss; classification by default.
    """

    base_model_prefix = "encoder"

    def __init__(
        self, encoder: PreTrainedModel, outputs: int, kind: TaskType | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.config: Any = encoder.config
        self.kind = kind or task_type("classification")
        self.looks_ahead = _looks_ahead(encoder)
        self.segments = segments_of(encoder)
        self.reads_globally = "global_attention_mask" in signature(encoder.forward).parameters
        self.classifier = nn.Linear(int(encoder.config.hidden_size), outputs)
        nn.init.normal_(self.classifier.weight, std=_STD)
        nn.init.zeros_(self.classifier.bias)

    # What PEFT and transformers ask of a model that they did not make.

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
        """Of the encoder. Without it PEFT assumes yes, and asks for gradients of the inputs."""
        return any(getattr(m, "gradient_checkpointing", False) for m in self.encoder.modules())

    def gradient_checkpointing_enable(self, **settings: Any) -> None:
        """Turn it on in the encoder."""
        self.encoder.gradient_checkpointing_enable(**settings)

    def gradient_checkpointing_disable(self) -> None:
        """Turn it off in the encoder."""
        self.encoder.gradient_checkpointing_disable()

    def enable_input_require_grads(self) -> None:
        """Have the embeddings' output carry a gradient, which reentrant checkpointing needs."""
        self.encoder.enable_input_require_grads()

    def get_input_embeddings(self) -> nn.Module:
        """The encoder's token embeddings."""
        table: nn.Module = self.encoder.get_input_embeddings()
        return table

    def get_output_embeddings(self) -> None:
        """None: there is no language model's head."""
        return None

    def can_generate(self) -> bool:
        """It answers with a label."""
        return False

    def start_from(self, table: torch.Tensor, words: Sequence[Sequence[int]]) -> None:
        """Start each output from its label's name, as a language model would write it.

        A decoder's last state says by its product with a row of the output layer how likely that
        token is next. With such rows for the answers, made as small as random ones, nothing has to
        be found but which is right (after Schick and Schütze, Exploiting Cloze Questions for Few
        Shot Text Classification and Natural Language Inference, EACL 2021): `recall` of 96 tokens
        SmolLM2 with LoRA knew .90 after 256 texts, and with random rows .85 after 768
        (`docs/learned.md`).

        Args:
            table: the output layer's rows, of shape (vocabulary, width).
            words: token ids of each label's name; a name of several tokens starts from their mean.
        """
        rows = torch.stack([table[list(ids)].mean(0) for ids in words])
        rows = rows - rows.mean(0)
        with torch.no_grad():
            self.classifier.weight.copy_(rows * (_STD / rows.std()))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> Answer:
        """Judge token ids of shape (rows, tokens); labels are (batch,), or (batch, labels)."""
        kinds: dict[str, torch.Tensor] = {}
        if token_type_ids is not None and self.segments > 1:
            kinds["token_type_ids"] = token_type_ids
        if self.reads_globally:  # of Longformer's tokens only such a one reads the whole text
            kinds["global_attention_mask"] = torch.zeros_like(input_ids)
            kinds["global_attention_mask"][:, 0] = 1
        # Padding is on the right, where a decoder does not look. Without a mask it takes the causal
        # kernel, and a step of SmolLM2 with LoRA at 1,024 tokens three quarters of the time.
        seen = attention_mask if self.looks_ahead else None
        states = self.encoder(input_ids=input_ids, attention_mask=seen, **kinds).last_hidden_state
        mask = attention_mask.unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        rows = torch.arange(len(states), device=states.device)
        whole = 0 if self.looks_ahead else attention_mask.sum(1) - 1
        logits = self.classifier(mean + states[rows, whole]).float()
        return Answer(*self.kind.loss(logits, labels))


def _looks_ahead(encoder: PreTrainedModel) -> bool:
    """Whether a token's state depends on the token after it: seen, not read off a name.

    Where nothing can be run (torch's `meta` device), the answer is yes.
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
    """How many kinds of segments a model tells apart: rows of its table of token types.

    0 or 1 where it has none: what a tokenizer says of segments is then left out. GPT-2 would add
    the embeddings of the tokens 0 and 1.
    """
    for name, weight in encoder.named_parameters():
        if "token_type_embeddings" in name or "segment_embeddings" in name or "seg_embed" in name:
            return int(weight.shape[0])
    return 0
