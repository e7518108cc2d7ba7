"""Registers the method with PEFT, and refuses pickled weights for it."""

from __future__ import annotations

import functools
from typing import Any

import peft
from peft import PeftConfig, PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import PeftType, register_peft_method

from ssmlora.checkpoint import refuse_pickle

NAME = "SSMLORA"


def register(config_cls: Any, model_cls: Any, name: str = NAME) -> None:
    """Register a method; a second call does nothing.

    Args:
        config_cls: its configuration class.
        model_cls: its model class.
        name: its name in PEFT, in capitals.

    Raises:
        ImportError: PEFT is too old, or has a method of the same name.
    """
    # Without this hook (PEFT before 0.21), checkpoints that do not fit would load silently.
    if not hasattr(BaseTuner, "_remap_adapter_state_dict_for_load"):
        raise ImportError(f"ssmlora needs PEFT 0.21 or later; PEFT {peft.__version__} is installed")
    name = name.upper()
    known = peft_type(name)
    if known in PEFT_TYPE_TO_CONFIG_MAPPING:
        if PEFT_TYPE_TO_CONFIG_MAPPING[known] is not config_cls:
            raise ImportError(f"this PEFT release brings its own {name}: use it, or an older PEFT")
        return
    register_peft_method(name=name.lower(), config_cls=config_cls, model_cls=model_cls)
    _guard_load_adapter(name)


def peft_type(name: str = NAME) -> Any:
    """Return the PeftType member of a name; add it to the enumeration if PEFT does not have it.

    `register_peft_method` refuses names that are not in `PeftType`, and an enumeration cannot be
    extended, so the member is written into the class and its three look-up maps.
    """
    member: Any = PeftType.__members__.get(name)
    if member is None:
        member = str.__new__(PeftType, name)
        member._name_ = member._value_ = name
        PeftType._member_names_.append(name)
        PeftType._member_map_[name] = PeftType._value2member_map_[name] = member
        type.__setattr__(PeftType, name, member)
    return member


def _guard_load_adapter(name: str) -> None:
    """Make `PeftModel.load_adapter` refuse a pickle for adapters of a method.

    PEFT reads the weights itself, and reads a pickle if it finds no safetensors.
    """
    load = PeftModel.load_adapter

    @functools.wraps(load)
    def load_adapter(self: Any, model_id: Any, adapter_name: str, *args: Any, **kwargs: Any) -> Any:
        hub, _ = self._split_kwargs(kwargs)
        config = self.peft_config.get(adapter_name)
        if (config.peft_type if config else PeftConfig._get_peft_type(model_id, **hub)) == name:
            refuse_pickle(model_id, **hub)
        return load(self, model_id, adapter_name, *args, **kwargs)

    PeftModel.load_adapter = load_adapter
