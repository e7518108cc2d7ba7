"""Adds SSMLORA to PEFT's closed list of methods, unless a PEFT that knows it comes along."""

from __future__ import annotations

from typing import Any

from peft.utils import PeftType, register_peft_method


def register() -> None:
    """Register the method; a second call does nothing."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    from ssmlora.config import SSMLoraConfig
    from ssmlora.model import SSMLoraModel

    known = peft_type()
    if known in PEFT_TYPE_TO_CONFIG_MAPPING:
        if PEFT_TYPE_TO_CONFIG_MAPPING[known] is not SSMLoraConfig:
            raise ImportError(
                "this PEFT release brings its own SSMLORA: use that one, or an older PEFT"
            )
        return
    register_peft_method(name="ssmlora", config_cls=SSMLoraConfig, model_cls=SSMLoraModel)


def peft_type() -> Any:
    """The PeftType member, added to the enumeration where PEFT does not have it.

    `PeftType` is closed and `register_peft_method` refuses names that are not in it, so the
    member goes into the class and into its three look-up maps by hand.
    """
    name = "SSMLORA"
    member: Any = PeftType.__members__.get(name)
    if member is None:
        member = str.__new__(PeftType, name)
        member._name_ = name
        member._value_ = name
        PeftType._member_names_.append(name)
        PeftType._member_map_[name] = member
        PeftType._value2member_map_[name] = member
        type.__setattr__(PeftType, name, member)
    return member
