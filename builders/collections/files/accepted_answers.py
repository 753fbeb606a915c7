"""Which passages hold an accepted answer: the matching of open-domain question answering, all questions at once."""

import gzip
import hashlib
import json
import time
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import atomic_write
from builders.collections.files.documents import FileDocuments
from builders.errors import KitError


# A question whose answers stand in more passages than this ("two", "yes") says little of a search: measures that look
# at answers count it, but no passage is its gold.
COMMON = 1000
WORTH_KEEPING_SECONDS = 5.0
# Raise it whenever the same passages would be matched differently: it is part of the cache's key.
MATCHING = 1

Tokens = tuple[str, ...]


def load_tokenizer() -> Callable[[str], list[str]]:
    """DPR's tokens of a text: runs of letters, marks and digits, and single other characters; lower case, NFD.

    The patterns are pyserini's, whose `has_answers` decides in its evaluation of open-domain retrieval.

    Raises:
        KitError: the extra `pyserini` is not installed.
    """
    try:
        import regex
        from pyserini.eval.evaluate_dpr_retrieval import SimpleTokenizer
    except ImportError as error:
        raise KitError(
            "finding the passages that hold an answer needs pyserini: pip install 'query-expansion-kit[pyserini]'"
        ) from error
    # One pattern instead of its two groups, and one lower() for all: the same tokens ten times as fast.
    token = regex.compile(f"{SimpleTokenizer.ALPHA_NUM}|{SimpleTokenizer.NON_WS}")

    def tokens(text: str) -> list[str]:
        found = token.findall(unicodedata.normalize("NFD", text))
        return " ".join(found).lower().split(" ") if found else []

    return tokens


class AnswerIndex:
    """The answers of many questions, found in a passage in one walk over its tokens.

    Args:
        answers (`Mapping[str, Sequence[str]]`):
            Query id → accepted answers.
        tokens:
            What makes tokens of a text; see [`load_tokenizer`].
    """

    def __init__(self, answers: Mapping[str, Sequence[str]], tokens: Callable[[str], list[str]]) -> None:
        self._tokens = tokens
        # First token → length → answer → who accepts it: what a walk costs does not grow with the number of answers.
        self._starting: dict[str, dict[int, dict[Tokens, list[str]]]] = {}
        for query_id, accepted in answers.items():
            for answer in dict.fromkeys(tuple(tokens(text)) for text in accepted):
                if answer:
                    of_length = self._starting.setdefault(answer[0], {}).setdefault(len(answer), {})
                    of_length.setdefault(answer, []).append(query_id)

    def matches(self, text: str) -> set[str]:
        """The ids of the questions that a text holds an answer of."""
        words = self._tokens(text)
        found: set[str] = set()
        for place, word in enumerate(words):
            lengths = self._starting.get(word)
            if lengths is not None:
                for length, answers in lengths.items():
                    query_ids = answers.get(tuple(words[place : place + length]))
                    if query_ids is not None:
                        found.update(query_ids)
        return found


def find_passages(answers: Mapping[str, Sequence[str]], passages: FileDocuments) -> dict[str, list[str]]:
    """The passages that hold an accepted answer of each question, in their order, and no more than 1,001.

    One pass over the passages: 21 million take the better part of an hour. What takes longer than a moment is kept in
    the cache, until the questions or the files change.

    Raises:
        KitError: the extra `pyserini` is not installed, or a passage cannot be read.
    """
    from tqdm import tqdm

    index = AnswerIndex(answers, load_tokenizer())
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in passages.paths]
    key = hashlib.sha256(json.dumps([MATCHING, COMMON, list(answers.items()), files]).encode()).hexdigest()[:16]
    kept = cache_dir("answers") / f"{key}.json.gz"
    try:
        found: dict[str, list[str]] = json.loads(gzip.decompress(kept.read_bytes()))
        return found
    except (OSError, EOFError, zlib.error, ValueError):
        pass  # absent or damaged: what was made once can be made again
    started = time.perf_counter()
    found = {query_id: [] for query_id in answers}
    for passage in tqdm(passages, "finding answers", unit="", delay=3, leave=False):
        for query_id in index.matches(passage.text):
            # One more than the limit tells that they are too many.
            if len(found[query_id]) <= COMMON:
                found[query_id].append(passage.id)
    if time.perf_counter() - started > WORTH_KEEPING_SECONDS:
        atomic_write(kept, gzip.compress(json.dumps(found).encode(), mtime=0))
    return found
