"""Tells what a collection holds, and how plain search does on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from builders.collections.beir import find_jsonl
from builders.collections.collection import SPLITS, Collection, Query, Split
from builders.collections.files.documents import FileDocuments
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.grading.grader import Grader
from builders.prompts.context.judged_terms import MOST_QUERIES
from builders.prompts.context.load import shown_texts
from builders.prompts.load import load_prompt
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from train.own_data.tuned_feedback import tuned_feedback
from train.reports.results_table import UNTUNED


RETRIEVER, JUDGED = "bm25s", "keywords-judged-zero-shot"
LOOKED_AT = 500
# From this nDCG@10 of plain search on, and below so many held-out queries, a person is told what cannot be shown.
HIGH, FEW = 0.9, 50
# Documents that are no text that the kit reads.
_PAPERS = (".pdf", ".docx", ".doc", ".pptx", ".html", ".htm", ".epub", ".txt", ".md")
_BESIDE = "queries.jsonl and qrels/*.tsv, or a click log clicks.csv (docs/collections.md)"
# Files that say what was searched.
_ASKED = ("queries", "clicks", "ratings", "topics")
# The first that has queries measures.
_MEASURED: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True)
class Holdings:
    """What a collection holds.

    Args:
        name (`str`), language (`str`):
            Its own name, and the ISO 639-1 code of its texts.
        documents (`int`):
            How many there are.
        queries (`Mapping[str, int]`):
            Split → queries with a relevant document.
        unjudged (`int`), relevant (`float`):
            Queries without one, and how many of them a judged query has on average.
        judgments (`str`):
            One sentence: how they came about.
        split (`str`), ndcg_at_10 (`float`):
            How plain search does, between 0 and 1, and on which queries.
        shown (`float`):
            Share of train queries for which the judgments of others know words: what a grounded prompt shows.
        rival (`str`), rival_is (`str`):
            Search with feedback that the student is compared with, and how its numbers were chosen.
        remarks (`tuple[str, ...]`):
            What loading passed over.
    """

    name: str
    language: str
    documents: int
    queries: Mapping[str, int]
    unjudged: int
    relevant: float
    judgments: str
    split: str
    ndcg_at_10: float
    shown: float
    rival: str = UNTUNED
    rival_is: str = "untuned"
    remarks: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """The same for a person, a line each."""
        judged = ", ".join(f"{number:,} {split}" for split, number in self.queries.items() if number)
        without = f"; {self.unjudged:,} more have none" if self.unjudged else ""
        asked = self.queries[self.split]
        high = ["plain search finds nearly all of it: little is left to gain"]
        few = [f"{asked} {self.split} queries are few: only a large gain can be told from chance"]
        return [
            f"{self.name}: {self.documents:,} documents, language {self.language}",
            f"queries with a relevant document: {judged}{without}; {self.relevant:.1f} relevant documents each. "
            f"{self.judgments}",
            f"plain BM25 search: nDCG@10 {self.ndcg_at_10:.4f} on {asked:,} {self.split} queries",
            *(high if self.ndcg_at_10 >= HIGH else []),
            *(few if asked < FEW else []),
            f"words of documents judged for similar queries: known for {100 * self.shown:.0f} % of the train queries",
            f"search with feedback, to compare with: {self.rival}, {self.rival_is}",
            *self.remarks,
        ]


def holdings(name: str, language: str | None = None) -> Holdings:
    """Look at a collection: one pass over its documents, and one search for each query of the split that measures.

    Args:
        name (`str`), language (`str`, *optional*):
            See [`load_collection`].

    Raises:
        KitError: there is no such collection, or something that a student learns from is missing; the message says
            what is there, what is not, and what can be done.
    """
    try:
        collection = load_collection(name, language)
    except KitError:
        _refuse_other_folders(Path(name).expanduser())
        raise
    documents = sum(1 for _ in collection.documents)
    judged: dict[Split, list[Query]] = {split: collection.split(split) for split in SPLITS}
    counts: dict[str, int] = {split: len(queries) for split, queries in judged.items()}
    _refuse_unjudged(collection, documents, counts)
    split = next(one for one in _MEASURED if counts[one])
    grader = Grader(collection, load_retriever(RETRIEVER, collection), load_formulation("q*5+e"))
    grades = grader.plain([query.id for query in judged[split]])
    rival, rival_is = tuned_feedback(collection, judged["validation"] if split == "test" else [], documents)
    return Holdings(
        name=collection.name,
        language=collection.language,
        documents=documents,
        queries=counts,
        unjudged=len(collection.queries) - sum(counts.values()),
        relevant=mean(len(collection.relevant(query.id)) for queries in judged.values() for query in queries),
        judgments=collection.judgments,
        split=split,
        ndcg_at_10=mean(grade.ndcg_at_10 for grade in grades),
        shown=_shown(collection, judged["train"]),
        rival=rival,
        rival_is=rival_is,
        remarks=tuple(collection.remarks),
    )


def _shown(collection: Collection, train: list[Query]) -> float:
    """Of how many train queries, of the first so many, the prompt of judged words shows any."""
    if collection.language != load_prompt(JUDGED).language or not 2 <= len(train) <= MOST_QUERIES:
        return 0.0
    prompt = load_prompt(JUDGED)
    texts = shown_texts([prompt], collection, RETRIEVER, train[:LOOKED_AT])[prompt.id]
    return mean(bool(texts.get(query.id)) for query in train[:LOOKED_AT])


def _refuse_unjudged(collection: Collection, documents: int, counts: Mapping[str, int]) -> None:
    """Without train queries there is nothing to learn from, without others nothing to measure by."""
    if counts["train"] and counts["test"] + counts["validation"]:
        return
    there = ", ".join(f"{number:,} {split}" for split, number in counts.items() if number) or "none"
    remedy = (
        "write `split: divide` into collection.yaml in its folder (a new file, if there is none), which parts the "
        "queries 70/10/20, or judge queries of both"
        if sum(counts.values()) > 1
        else "add queries and the documents that answer them: qrels/train.tsv and qrels/test.tsv, or a click log"
    )
    raise KitError(
        f"{collection.name}: {documents:,} documents ({collection.language}) and {len(collection.queries):,} queries; "
        f"with a relevant document: {there}. A student learns from judged train queries and is measured on judged "
        f"test queries: {remedy}"
    )


def _refuse_other_folders(folder: Path) -> None:
    """Say of a folder that is no collection what it is instead, and what can be done."""
    if not folder.is_dir():
        return
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise KitError(f"{folder}: an empty folder; a collection is corpus.jsonl and, beside it, {_BESIDE}")
    papers = [path for path in files if path.suffix.lower() in _PAPERS]
    if len(papers) > len(files) / 2 and not any(path.suffix.startswith(".json") for path in files):
        kinds = ", ".join(sorted({path.suffix for path in papers}))
        raise KitError(
            f"{folder}: {len(papers):,} files of the kind {kinds}, which the kit does not read: write their texts "
            'into corpus.jsonl, a line {"_id": …, "title": …, "text": …} each; beside it belong ' + _BESIDE
        )
    corpus = find_jsonl(folder, "corpus")
    if corpus and not any(path.name.startswith(_ASKED) for path in files):
        number = sum(1 for _ in FileDocuments((corpus,)))
        raise KitError(
            f"{folder}: {number:,} documents and no queries. A student learns from searches and the documents that "
            "answer them: add queries.jsonl and qrels/train.tsv, qrels/test.tsv, or a log of your search, clicks.csv "
            "(query, document_id, count); until then a trained expander can be used: qexpand expand"
        )
