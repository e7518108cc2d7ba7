"""Wrapping a model with a PEFT adapter, so that the forward pass of the method is used."""

from __future__ import annotations

from typing import Any

from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer


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


def adapted_modules(model: Any) -> set[str]:
    """Return the names of the modules that have an adapter, as named in the unwrapped model."""
    inside = model.base_model.model
    return {name for name, m in inside.named_modules() if isinstance(m, BaseTunerLayer)}
