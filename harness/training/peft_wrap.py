"""Wrapping a model with a PEFT adapter, so that the forward pass of the method is used.

The outputs of a model with virtual tokens are those of its text alone, so that training, scores and
decoding need not know about them.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import (
    PeftModel,
    PeftModelForCausalLM,
    PeftModelForFeatureExtraction,
    PeftType,
    get_peft_model,
)
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch.nn.functional import pad

from tasks.lib.encoding import IGNORED

_PER_TOKEN = ("token_type_ids", "global_attention_mask")
"""Inputs of encoders with a value for each token."""


class _ThroughTuner(PeftModel):  # type: ignore[misc]
    """A PeftModel whose forward pass calls the tuner, as PEFT's classes for task types do."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self._enable_peft_forward_hooks(*args, **kwargs):
            kwargs = {k: v for k, v in kwargs.items() if k not in self.special_peft_forward_args}
            return self.base_model(*args, **kwargs)


def wrap(model: Any, config: Any) -> Any:
    """Return the model with the adapter.

    The classifier has no PEFT task type, so PEFT would use its general class, `PeftModel`. That
    class calls the adapted model directly and skips the forward pass of the tuner. Some tuners need
    their forward pass: AdaLoRA adds its penalty to the loss there.
    """
    tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type]
    if config.task_type is None and tuner.forward is not BaseTuner.forward:
        return _ThroughTuner(model, config)
    return get_peft_model(model, config)


class _Prompted(PeftModel):  # type: ignore[misc]
    """A model with virtual tokens before every text, as inputs or as keys and values."""

    @property
    def tokens_in_input(self) -> int:
        """Virtual tokens in the sequence of token states."""
        config = self.active_peft_config
        in_cache = config.peft_type in (PeftType.PREFIX_TUNING, PeftType.CARTRIDGE)
        return 0 if in_cache else int(config.num_virtual_tokens)

    def get_prompt(
        self, batch_size: int, task_ids: Any = None, max_cache_len: int | None = None
    ) -> Any:
        """Return the virtual tokens; multitask prompts are for the one task of a cell."""
        if self.active_peft_config.peft_type == PeftType.MULTITASK_PROMPT_TUNING:
            task_ids = torch.zeros(batch_size, dtype=torch.long, device=self.device)
        return super().get_prompt(batch_size, task_ids, max_cache_len)

    def _adjust_prompt_learning_kwargs(self, _: Any, *, kwargs: dict[str, Any], **__: Any) -> None:
        """Give virtual tokens the segment 0; PEFT would drop the segments of the text too."""
        for name in _PER_TOKEN:
            if kwargs.get(name) is not None:
                kwargs[name] = pad(kwargs[name], (self.tokens_in_input, 0))


class _PromptedEncoder(_Prompted, PeftModelForFeatureExtraction):  # type: ignore[misc]
    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        output = super().forward(input_ids=input_ids, **inputs)
        output.last_hidden_state = output.last_hidden_state[:, -input_ids.shape[1] :]
        return output


class _PromptedLanguageModel(_Prompted, PeftModelForCausalLM):  # type: ignore[misc]
    def __init__(self, model: Any, config: Any) -> None:
        super().__init__(model, config)
        model.virtual_tokens = self.tokens_in_input  # the chunked loss leaves them out

    def forward(
        self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **inputs: Any
    ) -> Any:
        if labels is not None:
            # Without virtual tokens nothing predicts the first token, so it is not scored here.
            labels = labels.clone()
            labels[:, 0] = IGNORED
        output = super().forward(input_ids=input_ids, labels=labels, **inputs)
        if getattr(output, "logits", None) is not None:
            output.logits = output.logits[:, -input_ids.shape[1] :]
        return output

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the inputs of a step of `generate`.

        PEFT's own method looks for the cache under a name that transformers no longer uses, and
        counts padding as positions between virtual tokens and text.
        """
        inputs: dict[str, Any] = self.base_model_prepare_inputs_for_generation(*args, **kwargs)
        count = int(self.active_peft_config.num_virtual_tokens)
        mask, positions = inputs.get("attention_mask"), inputs.get("position_ids")
        if mask is not None:
            inputs["attention_mask"] = pad(mask, (count, 0), value=1)
        if positions is not None:
            inputs["position_ids"] = positions + count
        cache = inputs["cache"]
        if cache.get_seq_length():
            return inputs
        prompt = self.get_prompt(len(inputs["input_ids"]))
        if not self.tokens_in_input:
            for place, layer in enumerate(prompt.layers):
                cache.update(layer.keys, layer.values, place)
            return inputs
        words = self.word_embeddings(inputs["input_ids"])
        inputs["inputs_embeds"] = torch.cat([prompt.to(words.dtype), words], 1)
        inputs["input_ids"] = None
        if positions is not None:
            first = torch.arange(count, device=positions.device).expand(len(positions), -1)
            inputs["position_ids"] = torch.cat([first, inputs["position_ids"]], 1)
        return inputs


def wrap_prompt(model: Any, config: Any) -> Any:
    """Return an encoder or a language model with prompts that are trained."""
    if not config.is_prompt_learning:  # adaption prompts are inside the attention modules
        return get_peft_model(model, config)
    kind = _PromptedLanguageModel if config.task_type == "CAUSAL_LM" else _PromptedEncoder
    return kind(model, config)


def adapted_modules(model: Any) -> set[str]:
    """Return the names of the modules that have an adapter, as named in the unwrapped model."""
    inside = model.base_model.model
    return {name for name, m in inside.named_modules() if isinstance(m, BaseTunerLayer)}
