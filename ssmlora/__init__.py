"""SSMLoRA (Yu et al., NAACL 2025) as a PEFT method; import it before loading an adapter."""

from ssmlora.config import SSMLoraConfig
from ssmlora.layer import SSMLoraLinear
from ssmlora.model import SSMLoraModel
from ssmlora.placement import Site, candidate_sites, count_links, select_sites
from ssmlora.register import register

__all__ = [
    "SSMLoraConfig",
    "SSMLoraLinear",
    "SSMLoraModel",
    "Site",
    "candidate_sites",
    "count_links",
    "select_sites",
]

register()
