"""From a collection to published datasets: collections, prompts, expanders, retrievers, grading, pairing, publishing.

Importing this package imports none of torch, transformers, jnius or gradio; each is drawn in by the one function
that needs it.
"""

__version__ = "0.1.0"
