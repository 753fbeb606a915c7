"""What every retriever offers, query → ranked documents, and how one is chosen by its name."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from builders.collections.collection import Collection
from builders.retrievers.document_ids import DocumentIds


if TYPE_CHECKING:
    import numpy as np


# Documents that a ranking names where it is printed.
SHOWN = 10


class Hit(NamedTuple):
    """One document of a ranking. Rankings are ordered by score (higher is better), ties by document id."""

    document_id: str
    score: float


class Hits(Sequence[Hit]):
    """A ranking whose hits are made when they are looked at: a list of hits to all who read it.

    Retrievers may return lists of hits as well.

    Args:
        ids ([`DocumentIds`]):
            The ids of all documents, by their numbers.
        numbers (`np.ndarray`), scores (`np.ndarray`):
            Of the hits, best first.
    """

    __slots__ = ("_ids", "_numbers", "_scores")

    def __init__(self, ids: DocumentIds, numbers: "np.ndarray", scores: "np.ndarray") -> None:
        self._ids, self._numbers, self._scores = ids, numbers, scores

    @property
    def document_ids(self) -> list[str]:
        """The ids of its documents."""
        return self._ids.of_numbers(self._numbers)

    def __repr__(self) -> str:
        first = self._ids.of_numbers(self._numbers[:SHOWN])
        named = [f"{len(self)} documents", *first, *(["…"] if len(self) > SHOWN else [])]
        return f"Hits({', '.join(named)})"

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Hit]:
        return map(Hit, self.document_ids, self._scores.tolist())

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, Hits) else other)


# One ranking a query; a list of lists of hits is one, too.
Rankings = Sequence[Sequence[Hit]]


def document_ids(ranking: Sequence[Hit]) -> list[str]:
    """The ids of a ranking's documents, best first."""
    return ranking.document_ids if isinstance(ranking, Hits) else [hit.document_id for hit in ranking]


class Retriever(Protocol):
    """Something that ranks the documents of one collection.

    `name` identifies engine, analysis and parameters in provenance, e.g. `bm25s(k1=0.9,b=0.4,analyzer=english)`.
    """

    name: str

    def search(self, queries: Sequence[str], depth: int) -> Rankings:
        """Rank documents for each query.

        Args:
            queries (`Sequence[str]`):
                Query texts, already formed (see `builders.retrievers.formulation`).
            depth (`int`):
                At most so many hits per query. A lexical retriever does not count documents that share no term with
                the query as hits.

        Returns:
            One list of hits per query, best first.
        """
        ...


class NamedRetriever(Retriever):
    """Base of the classes that `--retriever` chooses from: see `builders.retrievers.load.RETRIEVERS`.

    By default its names are the forms as they stand, and the collection is the only argument.

    Attributes:
        forms (`tuple[str, ...]`): how it is named; what stands in capitals is chosen by the user.
        searches_by (`str`), languages (`str`): what it does and for whom, in the README's table.
    """

    forms: ClassVar[tuple[str, ...]]
    searches_by: ClassVar[str]
    languages: ClassVar[str]

    def __init__(self, collection: Collection) -> None:
        """Get ready to search a collection."""

    @classmethod
    def from_name(
        cls, name: str, collection: Collection, load: Callable[[str, Collection], Retriever]
    ) -> Retriever | None:
        """The retriever of a name, `None` where the name is not its own; `load` makes the parts of a hybrid.

        Raises:
            KitError: it cannot be had.
        """
        return cls(collection) if name in cls.forms else None

    @classmethod
    def folders(cls, name: str) -> list[str]:
        """The folders beside the collection that a retriever of this name reads."""
        return []

    @classmethod
    def pins(cls, name: str) -> list[str]:
        """What pins the content of those folders: a folder keeps its name when what lies in it is made anew.

        Raises:
            KitError: a folder does not hold what it should, or an extra is not installed.
        """
        return []


@runtime_checkable
class ExcludingRetriever(Retriever, Protocol):
    """A retriever where one document's place depends on others, by feedback or by ranks that are fused.

    What a query leaves out (see `builders.retrievers.left_out`) it must know before it searches.
    """

    def search_without(self, queries: Sequence[str], depth: int, left_out: Sequence[AbstractSet[str]]) -> Rankings:
        """As [`Retriever.search`], as if the documents of a query's set were not in the collection."""
        ...


@runtime_checkable
class LexicalRetriever(Retriever, Protocol):
    """A retriever that matches terms."""

    def terms(self, text: str) -> list[str]:
        """The analyzer's terms of a text, in order: what the retriever really matches."""
        ...


@runtime_checkable
class VectorRetriever(Retriever, Protocol):
    """A retriever that matches vectors: float32 matrices with one row of length 1 for each text."""

    def encode_queries(self, texts: Sequence[str]) -> "np.ndarray":
        """Vectors of queries, a fresh matrix."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> "np.ndarray":
        """Vectors of documents, or of texts like documents."""
        ...

    def search_vectors(self, vectors: "np.ndarray", depth: int) -> Rankings:
        """Rank documents for each vector, of any length, by the scalar product with their own."""
        ...
