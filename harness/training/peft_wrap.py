"""A model and a PEFT configuration -> a PeftModel whose forward pass is the method's own."""

from __future__ import annotations

from typing import Any

from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer


class _ThroughTuner(PeftModel):  # type: ignore[misc]
    """Calls the tuner, as PEFT's classes for task types do and its general class does not."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self._enable_peft_forward_hooks(*args, **kwargs):
            kwargs = {k: v for k, v in kwargs.items() if k not in self.special_peft_forward_args}
            return self.base_model(*args, **kwargs)


def wrap(model: Any, config: Any) -> Any:
    """The model with the adapter in it.

    PEFT's general class, which the classifier needs, calls the adapted model past the tuner. Where
    a tuner's forward pass does more (AdaLoRA adds its penalty to the loss), that would be lost.
    """
    tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type]
    if config.task_type is None and tuner.forward is not BaseTuner.forward:
        return _ThroughTuner(model, config)
    return get_peft_model(model, config)


def adapted_modules(model: Any) -> set[str]:
    """Names of the modules that an adapter sits on, in the model that was wrapped."""
    inside = model.base_model.model
    return {name for name, m in inside.named_modules() if isinstance(m, BaseTunerLayer)}
