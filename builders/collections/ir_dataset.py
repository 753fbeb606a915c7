"""Reads a collection by its id in `ir_datasets`, the catalogue of test collections (https://ir-datasets.com)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, Document
from builders.collections.files.documents import LocatedDocuments
from builders.collections.files.lines import Place
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import Judgment, split_named, whole
from builders.collections.files.topics import Topics
from builders.collections.source import Source
from builders.collections.trec import DEEP_LEARNING_LEVEL
from builders.errors import KitError


PREFIX = "ir_datasets:"


def load_ir_dataset(name: str, language: str | None = None) -> Collection:
    """Read documents, queries and qrels of a dataset, e.g. `ir_datasets:msmarco-passage/trec-dl-2019/judged`.

    The package fetches what is not on this machine yet. What it calls a document's default text is indexed, titles
    included. The split is the one in the id (`…/train`, `…/dev/small`); all other ids are test collections.

    Args:
        name (`str`):
            `ir_datasets:` and the id of a dataset that provides documents, queries and qrels.
        language (`str`, *optional*):
            ISO 639-1 code; by default the dataset's own, else what the texts suggest.

    Raises:
        KitError: the extra `ir-datasets` is not installed, there is no such id, the data cannot be fetched, or the
            dataset lacks a part.
    """
    id = name.removeprefix(PREFIX)
    try:
        import ir_datasets
    except ImportError as error:
        raise KitError(f"{name}: pip install 'query-expansion-kit[ir-datasets]'") from error
    try:
        dataset = ir_datasets.load(id)
    except KeyError as error:
        raise KitError(f"{name}: no such dataset; https://ir-datasets.com lists them") from error
    missing = [part for part in ("docs", "queries", "qrels") if not dataset.has(part)]
    if missing:
        raise KitError(f"{name}: this dataset has no {' and no '.join(missing)}; give the id of one that has")
    split = split_named(id) or "test"
    graded = "trec-dl-20" in id
    facts = Metadata(
        name=id.replace("/", "-"),
        language=dataset.docs_lang(),
        source=f"ir_datasets, {id}",
        licence=f"see https://ir-datasets.com/{id.split('/')[0]}",
        judgments=f"The qrels of {id} in ir_datasets.",
        relevance_level=DEEP_LEARNING_LEVEL if graded else None,
        # Default texts hold the titles.
        index_title=False,
    )
    topics = Topics()
    try:
        for row, query in enumerate(dataset.queries_iter(), start=1):
            topics.add(Place(f"{id} queries", row), str(query.query_id), query.default_text())
        versions = {"ir_datasets": ir_datasets.__version__}
        judgments = (
            Judgment(
                place := Place(f"{id} qrels", row), split, found.query_id, found.doc_id, whole(place, found.relevance)
            )
            for row, found in enumerate(dataset.qrels_iter(), start=1)
        )
        return assemble(Parts(facts, DatasetDocuments(id, dataset), topics, judgments, language, versions=versions))
    except KitError:
        raise
    except Exception as error:  # whatever download and parsers of its many sources let out
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise KitError(f"{name}: ir_datasets cannot read it ({said})") from error


@dataclass(frozen=True)
class DatasetDocuments(LocatedDocuments):
    """The documents of a dataset, in one pass of its own iterator each time."""

    id: str
    dataset: Any

    @property
    def name(self) -> str:
        """See `LocatedDocuments.name`."""
        return f"{PREFIX}{self.id}"

    def located(self) -> Iterator[tuple[Place, Document]]:
        """See `LocatedDocuments.located`."""
        for row, found in enumerate(self.dataset.docs_iter(), start=1):
            title = getattr(found, "title", "")
            yield (
                Place(self.name, row),
                Document(str(found.doc_id), title if isinstance(title, str) else "", found.default_text()),
            )


IR_DATASETS = Source(
    (f"{PREFIX}ID",),
    "an id of [ir_datasets](https://ir-datasets.com), such as `msmarco-passage/trec-dl-2019/judged` (extra "
    "`ir-datasets`)",
    lambda name: name.startswith(PREFIX),
    load_ir_dataset,
)
