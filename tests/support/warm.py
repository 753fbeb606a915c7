"""Imports what commands take seconds to import, for a server from which processes are forked."""

import bm25s  # noqa: F401
import datasets  # noqa: F401
import peft  # noqa: F401
import torch
import transformers  # noqa: F401
from trl import DPOTrainer, SFTTrainer  # noqa: F401


# Threads do not outlive a fork.
torch.set_num_threads(1)
