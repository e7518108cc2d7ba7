"""SSMLoRA as a PEFT method: low-rank adapters that pass a small state from layer to layer.

Import this package before `peft.PeftModel.from_pretrained`: the import registers the method.
"""

from __future__ import annotations

from ssmlora.config import SSMLoraConfig
from ssmlora.layer import SSMLoraLayer
from ssmlora.model import SSMLoraModel
from ssmlora.placement import Site, candidate_sites, count_links, select_sites
from ssmlora.register import register

__all__ = [
    "SSMLoraConfig",
    "SSMLoraLayer",
    "SSMLoraModel",
    "Site",
    "candidate_sites",
    "count_links",
    "select_sites",
]

register(SSMLoraConfig, SSMLoraModel)
