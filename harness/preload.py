"""Imported once by the fork server; every cell's process starts with all of this in memory."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import peft  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.metrics  # noqa: F401
import torch
import transformers  # noqa: F401
from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: F401
from transformers.models.bert import modeling_bert  # noqa: F401

import harness.cell  # noqa: F401
import ssmlora  # noqa: F401
import tasks.baseline  # noqa: F401

# A fork must not inherit a pool of threads that exist in the parent alone.
torch.set_num_threads(1)
