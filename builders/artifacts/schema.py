"""Columns of every published config; features and cards are made from them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from datasets import Features


# Raised when a column changes its name, type or meaning; readers refuse versions they do not know.
SCHEMA_VERSION = 1

MESSAGES = "messages"
JSON_KWARGS = "chat_template_kwargs"
LIST_OF = "list of "


@dataclass(frozen=True, slots=True)
class Column:
    """One field: name, type (a `datasets.Value` type, a list of one, or one of the two above), meaning."""

    name: str
    dtype: str
    meaning: str


_QUERY = (
    Column("query_id", "string", "id of the query in its collection"),
    Column("query", "string", "text of the query"),
)
_TEMPLATE = Column(
    "chat_template_kwargs", JSON_KWARGS, "arguments for the chat template; TRL's trainers read them (no thinking)"
)
_PROMPT = (
    Column("prompt_id", "string", "name of the prompt file"),
    Column("prompt_version", "int32", "version of the prompt's wording; 0 where a recording does not say"),
)
_SAMPLING = (
    Column("adapter", "string", "LoRA adapter on that model, if any"),
    Column("provider", "string", "who ran the model: `local`, a provider, a server's name, or `recorded`"),
    Column("temperature", "float64", "sampling temperature; 0 is greedy, empty where a recording does not say"),
    Column("top_p", "float64", "nucleus"),
    Column("top_k", "int32", "number of most likely tokens to choose from; 0 is all"),
)
_LENGTH = (
    Column("prompt_tokens", "int32", "length of the prompt in the model's tokens"),
    Column("completion_tokens", "int32", "length of the answer in the model's tokens, the end token included"),
    Column("finish_reason", "string", "`stop`, or `length` when the token limit cut it off"),
)

RAW = (
    *_QUERY,
    Column("candidate_id", "string", "unique name of the candidate: query, prompt, sample number"),
    Column("candidate", "string", "the expansion as the model wrote it, white space collapsed"),
    Column("grounding", "string", "what the student's prompt shows of the collection beside the query; often nothing"),
    Column("condition", "string", "`zero-shot` or `few-shot`"),
    *_PROMPT,
    Column("model_id", "string", "Hub id of the model that wrote the candidate"),
    Column("model_revision", "string", "revision of that model, or the package that carried it"),
    *_SAMPLING,
    Column("max_new_tokens", "int32", "token limit of one expansion"),
    Column("seed", "int64", "sampling seed"),
    Column("sample", "int32", "number of the sample under its prompt, from 0"),
    *_LENGTH,
    Column("check", "string", "`ok`, or why the output check rejected the candidate"),
    Column("retriever", "string", "engine, analysis and parameters that graded it"),
    Column("formation", "string", "how query and expansion became the searched text"),
    Column("ndcg_at_10", "float64", "nDCG@10 of the expanded query"),
    Column("reciprocal_rank", "float64", "1 / rank of the first relevant document within the grading depth, else 0"),
    Column("gold_rank", "int32", "rank of the best-judged document; grading depth + 1 when it is not found"),
    Column("plain_ndcg_at_10", "float64", "nDCG@10 of the query without expansion"),
    Column("plain_reciprocal_rank", "float64", "reciprocal rank of the query without expansion"),
    Column("plain_gold_rank", "int32", "rank of the best-judged document for the query without expansion"),
)

DISTILLATION = (
    Column("prompt", MESSAGES, "zero-shot conversation, as the student will see it"),
    Column("completion", MESSAGES, "the expansion to imitate"),
    _TEMPLATE,
    *_QUERY,
    Column("candidate_id", "string", "the candidate in config `raw`"),
    Column("ndcg_at_10", "float64", "nDCG@10 of the expanded query"),
    Column("plain_ndcg_at_10", "float64", "nDCG@10 of the query without expansion"),
)

PREFERENCE = (
    Column("prompt", MESSAGES, "zero-shot conversation, as the student will see it"),
    Column("chosen", MESSAGES, "the expansion that retrieves better"),
    Column("rejected", MESSAGES, "the expansion that retrieves worse"),
    _TEMPLATE,
    *_QUERY,
    Column("chosen_id", "string", "candidate in config `raw` of the expansions"),
    Column("rejected_id", "string", "candidate in config `raw` of the expansions"),
    Column("rule", "string", "pairing rule that graded the two"),
    Column("chosen_score", "float64", "score of the chosen expansion under the rule"),
    Column("rejected_score", "float64", "score of the rejected expansion under the rule"),
    Column("margin", "float64", "chosen_score − rejected_score"),
    Column("plain_ndcg_at_10", "float64", "nDCG@10 of the query without expansion"),
)

REFERENCE = (
    *_QUERY,
    Column("document_id", "string", "the judged document that the model was shown"),
    Column("reference", "string", "the self-reference answer: what the document says to the query"),
    *_PROMPT,
    Column("model_id", "string", "Hub id of the model that wrote the answer"),
    Column("model_revision", "string", "revision of that model, or the package that carried it"),
    *_SAMPLING,
    Column("max_new_tokens", "int32", "token limit of the answer"),
    Column("seed", "int64", "sampling seed"),
    *_LENGTH,
    Column("check", "string", "`ok`, or why the output check rejected the answer"),
)

RETRIEVER = (
    *_QUERY,
    Column("expansion", "string", "what the query's vector is averaged with; an empty one leaves the query alone"),
    Column("candidate_id", "string", "candidate in config `raw` of the expansions"),
    Column("positive_id", "string", "document judged relevant"),
    Column("positive", "string", "its text, as retrievers index it"),
    Column("positive_relevance", "int32", "its grade"),
    Column("positive_similarity", "float64", "its cosine with the query, where an encoder filtered the negatives"),
    Column("negative_ids", "list of string", "documents that the miner found and nobody judged relevant"),
    Column("negatives", "list of string", "their texts, as retrievers index them"),
    Column("negative_ranks", "list of int32", "their ranks for the plain query, from 1"),
    Column("negative_scores", "list of float64", "their scores by the miner"),
    Column("negative_similarities", "list of float64", "their cosines with the query; empty without such an encoder"),
)

CONFIGS: dict[str, tuple[Column, ...]] = {
    "raw": RAW,
    "distillation": DISTILLATION,
    "preference": PREFERENCE,
    "reference": REFERENCE,
    "retriever": RETRIEVER,
}

# Qwen3 and its kin think aloud unless told not to; templates without the switch ignore it.
TEMPLATE_KWARGS = {"enable_thinking": False}


def features(config: str) -> "Features":
    """The `datasets.Features` of a config."""
    from datasets import Features

    return Features({column.name: _feature(column.dtype) for column in CONFIGS[config]})


def _feature(dtype: str) -> Any:
    from datasets import List, Value

    if dtype == MESSAGES:
        return List({"role": Value("string"), "content": Value("string")})
    if dtype == JSON_KWARGS:
        return {"enable_thinking": Value("bool")}
    if dtype.startswith(LIST_OF):
        return List(Value(dtype.removeprefix(LIST_OF)))
    return Value(dtype)
