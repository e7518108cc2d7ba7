"""Imported once by the fork server: the process of each cell starts with all of this in memory."""

# ruff: noqa: E402  # the first two lines precede all other imports
from harness.system.lifeline import follow_run

follow_run()  # the imports below take seconds, and the run may be killed meanwhile

import gc

gc.disable()  # a tenth of the time of these imports would be collections that find nothing

import os
import threading

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import peft  # noqa: F401
import scipy.linalg
import scipy.stats
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.metrics  # noqa: F401
import torch
import tqdm  # type: ignore[import-untyped]
import transformers  # noqa: F401
from transformers import AutoConfig, AutoModel, AutoTokenizer  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.models.bert import modeling_bert  # noqa: F401

import harness.execution.cell_main
import harness.execution.forked
import harness.models.heads
import harness.system.machine
import harness.training.peft_methods
import tasks
import tasks.lib.baseline

harness.training.peft_methods.register_methods()
tasks.discover()
harness.system.machine.describe_machine()  # cached; it asks git, which takes 20 ms

get_checkpoint_conversion_mapping("bert")  # cached: the first call compiles a thousand patterns

# NumPy's and SciPy's OpenBLAS reserve their buffers here: under a memory limit, OpenBLAS retries a
# failed reservation forever.
np.linalg.cholesky(np.eye(2))
scipy.linalg.cholesky(np.eye(2))

# A fork must not inherit a pool of threads that exist only in the parent.
torch.set_num_threads(1)

# The default lock is a system semaphore, which a killed cell leaves behind. Python's resource
# tracker would then print a warning on the terminal.
tqdm.tqdm.set_lock(threading.RLock())

# No cell frees these hundreds of thousands of library objects. Without this, a collection takes
# 0.4 s at each reset of the memory meter, and copies their pages.
gc.collect()
gc.freeze()
gc.enable()
