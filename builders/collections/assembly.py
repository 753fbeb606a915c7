"""Puts documents, topics and judgments together, whatever their files, and checks them against one another."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from builders.collections.collection import AbsentDocuments, Collection, Query, Split, split_of
from builders.collections.files.documents import LocatedDocuments, check_documents
from builders.collections.files.id_set import IdSet
from builders.collections.files.language import guess_language
from builders.collections.files.lines import Place
from builders.collections.files.metadata import DIVIDE, Metadata, check_language
from builders.collections.files.qrels import Judgment
from builders.collections.files.topics import Topics, same_topic
from builders.errors import KitError


# A few judgments of removed documents are usual in published collections; many mean the wrong corpus. One is no sign
# of that where ten are right, be it more than a hundredth.
DANGLING_SHARE = 0.01
ENOUGH_FOR_ONE = 10
# A search log goes on while pages are deleted: there it takes nearly all of them.
DANGLING_SHARE_OF_A_LOG = 0.9
LISTED = 5
# Characters of a document that tell its language.
GUESSED_FROM = 1000
POOLED = "pooled subset"


@dataclass
class Parts:
    """What a collection is put together from.

    Args:
        metadata ([`Metadata`]):
            Facts, with `name`, `source`, `licence` and `judgments` filled in.
        documents:
            The documents, or what says that they are absent.
        topics ([`Topics`]):
            The queries.
        judgments (`Iterable[Judgment]`):
            The judgments; those without a split belong where `split_of` puts their query.
        language (`str`, *optional*):
            What the user has asked for; it goes before what is stated.
        keep_unjudged (`bool`, *optional*, defaults to `False`):
            Whether queries that nobody has judged stay, in the split that `splits` gives.
        is_log (`bool`, *optional*, defaults to `False`):
            Whether it is a search log, whose queries have no ids of their own, and which may name deleted documents.
        splits (`Mapping[str, Split]`, *optional*):
            Query id → split, where something else than a judgment tells it.
        versions (`Mapping[str, str]`), statistics (`Mapping[str, int | float]`), *optional*:
            As in [`Collection`]; counts made here are added.
        remarks (`Sequence[str]`, *optional*):
            As in [`Collection`]; what is seen here is added.
    """

    metadata: Metadata
    documents: LocatedDocuments | AbsentDocuments
    topics: Topics
    judgments: Iterable[Judgment]
    language: str | None = None
    keep_unjudged: bool = False
    is_log: bool = False
    splits: Mapping[str, Split] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, int | float] = field(default_factory=dict)
    remarks: Sequence[str] = ()


def assemble(parts: Parts) -> Collection:
    """Check the parts and put them together: one pass over the documents, then one over the judgments.

    Raises:
        KitError: documents or queries do not pass their check; more than 1 % of the judgments (and more than one), of
            a search log more than 90 %, name a query or document that does not exist; a query is judged in two
            splits, or a document twice and differently.
    """
    facts = parts.metadata
    name, source = str(facts.name), str(facts.source)
    remarks = list(parts.remarks)
    counts: Counter[str] = Counter()
    known: IdSet | None = None
    identical: Mapping[str, bool] = {}
    parts.topics.check()
    if parts.topics.empty:
        counts["queries_empty"] = len(parts.topics.empty)
        remarks.append(
            f"{name}: {len(parts.topics.empty)} queries empty, the first {next(iter(parts.topics.empty))!r}"
        )
    if not isinstance(parts.documents, AbsentDocuments):
        checked = check_documents(parts.documents, parts.topics.texts)
        known, identical = checked.ids, checked.identical
        counts["documents"] = len(checked.ids)
        for count, what in ((checked.empty, "empty"), (checked.replaced, "with_replacement_characters")):
            if count:
                counts[f"documents_{what}"] = count
                remarks.append(f"{name}: {count} documents {what.replace('_', ' ')}")
    qrels, splits = _join(parts, known, counts, remarks)
    queries = {
        query_id: Query(query_id, text, splits.get(query_id) or _split(parts, query_id, parts.splits.get(query_id)))
        for query_id, text in parts.topics.texts.items()
        if query_id in qrels or parts.keep_unjudged
    }
    counts["queries_without_judgment"] = len(parts.topics.texts) - len(qrels)
    if facts.pooled:
        source = f"{source}; its documents are a {POOLED}"
    judgments = str(facts.judgments)
    if facts.split == DIVIDE:
        judgments = f"{judgments.rstrip('.')}; the queries are divided 70/10/20 by a hash of the query id."
    own = facts.ignore_identical_ids
    if own is None and (own := _stand_among_documents(identical, qrels)):
        remarks.append(
            f"{name}: queries stand among the documents under their own ids, and are left out of their own rankings; "
            "ignore_identical_ids: false in collection.yaml keeps them"
        )
    return Collection(
        name=name,
        language=_language(parts, (query.text for query in queries.values()), remarks),
        documents=parts.documents,
        queries=queries,
        qrels=qrels,
        source=source,
        licence=str(facts.licence),
        judgments=judgments,
        versions=parts.versions,
        statistics={**parts.statistics, **counts},
        index_title=True if facts.index_title is None else facts.index_title,
        relevance_level=facts.relevance_level or 1,
        answers={key: found for key, found in parts.topics.answers.items() if key in queries},
        ignore_identical_ids=bool(own),
        excluded={key: found for key, found in parts.topics.excluded.items() if key in queries},
        remarks=remarks,
    )


def _language(parts: Parts, queries: Iterable[str], remarks: list[str]) -> str:
    """The language that is asked for, or stated; else a guess, with a remark."""
    name, stated = str(parts.metadata.name), parts.language or parts.metadata.language
    if stated:
        return check_language(stated, name)
    documents = () if isinstance(parts.documents, AbsentDocuments) else parts.documents
    texts = (f"{document.title} {document.text}"[:GUESSED_FROM] for document in documents)
    language = guess_language(queries, texts)
    remarks.append(f"{name}: its texts seem to be in {language!r}; if they are not, say so with --language")
    return language


def _stand_among_documents(identical: Mapping[str, bool], qrels: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether most documents with a query's id are that query; those judged relevant to it are answers."""
    seen = [same for name, same in identical.items() if qrels.get(name, {}).get(name, 0) <= 0]
    return bool(seen) and 2 * sum(seen) >= len(seen)


def _split(parts: Parts, query_id: str, found: Split | None) -> Split:
    return parts.metadata.split_of(found) or split_of(query_id)


def _join(
    parts: Parts, known: IdSet | None, counts: Counter[str], remarks: list[str]
) -> tuple[dict[str, dict[str, int]], dict[str, Split]]:
    """The judgments by query, and the split of each judged query; `known` holds the ids of the documents."""
    qrels: dict[str, dict[str, int]] = {}
    judged_in: dict[str, tuple[Split, Place]] = {}
    dangling: list[str] = []
    counts["judgments"] = outside = number = 0
    for judgment in parts.judgments:
        number += 1
        place, found, query_id, document_id, relevance = judgment
        query_id = same_topic(query_id, parts.topics.texts)
        if query_id in parts.topics.empty:
            counts["judgments_of_empty_queries"] += 1
            continue
        absent = known is not None and document_id not in known
        if query_id not in parts.topics.texts or (absent and not parts.metadata.pooled):
            asked = parts.topics.texts[query_id] if parts.is_log else query_id
            dangling.append(f"{place.short}: {asked!r}, {document_id!r}")
            continue
        outside += absent
        split = _split(parts, query_id, found)
        other = judged_in.setdefault(query_id, (split, place))
        if other[0] != split:
            raise KitError(
                f"{place}: query {query_id!r} is judged in {other[1].short.split(',')[0]} too; "
                "a query belongs to one split: keep it in one file"
            )
        if qrels.setdefault(query_id, {}).setdefault(document_id, relevance) != relevance:
            raise KitError(f"{place}: {query_id!r} and {document_id!r} have two different scores; keep one")
    counts["judgments"], counts["judgments_dangling"] = number, len(dangling)
    if outside:
        counts["judgments_outside_the_pool"] = outside
    if dangling:
        limit = DANGLING_SHARE_OF_A_LOG if parts.is_log else DANGLING_SHARE
        line = f"{len(dangling)} of {number} judgments name a query or document that is not there"
        if len(dangling) > max(limit * number, number > ENOUGH_FOR_ONE):
            raise KitError(
                f"{parts.metadata.name}: {line}, the first in {dangling[0]}; more than {limit:.0%} are too many: do "
                f"{'log and corpus' if parts.is_log else 'corpus, queries and qrels'} belong together?"
            )
        line += f", {len(dangling) / number:.1%}, and are left out"
        more = f" and {len(dangling) - LISTED} more" if len(dangling) > LISTED else ""
        remarks.append(f"{parts.metadata.name}: {line}: {'; '.join(dangling[:LISTED])}{more}")
    return qrels, {query_id: split for query_id, (split, _) in judged_in.items()}
