"""The HRM adapter as a PEFT method: a small linear state space model over the tokens of a text.

Import this package before `peft.PeftModel.from_pretrained`: the import registers the method.
"""

from __future__ import annotations

from hrm.config import HrmConfig
from hrm.layer import HrmLayer
from hrm.model import HrmModel
from hrm.names import METHOD
from ssmlora.register import register

__all__ = ["HrmConfig", "HrmLayer", "HrmModel"]

register(HrmConfig, HrmModel, METHOD)
