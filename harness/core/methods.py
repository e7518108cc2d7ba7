"""Adaptation methods: their ids in sweeps and results, their labels and their order in reports."""

from __future__ import annotations

from dataclasses import dataclass

FULL = "full"
LORA = "lora"
SSMLORA = "ssmlora"
HRM = "hrm"
HEAD = "head"
"""A trained head on the frozen backbone: the control of adapters in tasks with a classifier."""
TFIDF = "tfidf"
"""A linear model on TF-IDF features of the same texts."""
ZERO_SHOT = "base"
"""The backbone without any training."""

BASELINES = (TFIDF, ZERO_SHOT)
"""Methods that train no part of the backbone: arms are compared with them."""

WITHOUT_STATE = {SSMLORA: {"link_state": False}, HRM: {"memory": False}}
"""Options that cut the state of a method: the control that shows whether a gain comes from it."""

DIVISIBLE = (FULL, HEAD, LORA, SSMLORA)
"""Methods that were compared on one and several devices (lever `devices`)."""

RANK = 8
"""Rank of an adapter where neither the sweep nor PEFT sets one."""

PLACEMENTS = ("alternate", "even", "first", "last", "random")
"""How target modules are chosen below density 1; the first is the default."""

ATTENTION, ATTENTION_ALL = "attention", "attention-all"
MLP, ALL_LINEAR, PAPER = "mlp", "all-linear", "paper"
TARGETS = (ATTENTION, ATTENTION_ALL, MLP, ALL_LINEAR, PAPER)
"""Which linear layers an arm may adapt; the first is the default: queries and values."""

JOINED = "+"
"""Between module names that are one target."""


@dataclass(frozen=True)
class MethodInfo:
    """How a method is shown: its label, and its position among the others."""

    label: str
    order: int


_KNOWN = {
    FULL: MethodInfo("Full", 0),
    LORA: MethodInfo("LoRA", 1),
    SSMLORA: MethodInfo("SSMLoRA", 2),
    HRM: MethodInfo("HRM", 3),
    HEAD: MethodInfo("Head only", 7),
    ZERO_SHOT: MethodInfo("Base", 8),
    TFIDF: MethodInfo("TF-IDF", 9),
}


def method_info(method: str) -> MethodInfo:
    """Return label and order of a method; methods that only PEFT knows keep their PEFT name."""
    return _KNOWN.get(method) or MethodInfo(method, 5)
