"""What the package gives, for type checkers."""

from builders.collections.load import load_collection as load_collection
from builders.errors import KitError as KitError
from builders.expanders.trained import load_expander as load_expander
from builders.grading.expander_evaluation import evaluate as evaluate
from builders.retrievers.load import load_retriever as load_retriever

__version__: str
