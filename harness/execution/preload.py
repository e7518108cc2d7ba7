"""Imported once by the fork server; every cell's process starts with all of this in memory."""

# ruff: noqa: E402  # the first two lines come before all other imports
from harness.execution.lifeline import follow_run

follow_run()  # the imports below take seconds, and the run may be killed meanwhile

import gc
import os
import threading

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import peft  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.metrics  # noqa: F401
import torch
import tqdm  # type: ignore[import-untyped]
import transformers  # noqa: F401
from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: F401
from transformers.models.bert import modeling_bert  # noqa: F401

import harness.execution.cell_main
import harness.execution.forked
import harness.execution.machine
import harness.training.heads
import ssmlora  # noqa: F401
import tasks
import tasks.lib.baseline

tasks.discover()
harness.execution.machine.describe_machine()  # cached; it asks git, which takes 20 ms

# A fork must not inherit a pool of threads that exist in the parent alone.
torch.set_num_threads(1)

# Its own lock would be a semaphore of the system's, which a killed cell leaves behind: each such
# cell would put a warning of Python's resource tracker on the terminal.
tqdm.tqdm.set_lock(threading.RLock())

# Hundreds of thousands of library objects that no cell will ever free: left out of collection,
# which otherwise takes 0.4 s at each reset of the memory meter and copies their pages.
gc.collect()
gc.freeze()
