"""Training of expanders: LoRA adapters of a language model by SFT and DPO."""
