"""The plan of a matrix: its settings looked up, what can be refused refused, nothing generated or written yet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.errors import KitError
from train.evaluate import EvaluationArguments
from train.evaluation.generation_arguments import Asking
from train.evaluation.grid import NONE
from train.evaluation.plan import BASE, Plan, make_plan
from train.evaluation.retriever_specs import Searcher, load_searchers


if TYPE_CHECKING:
    from train.matrix import MatrixArguments


@dataclass(frozen=True)
class MatrixPlan:
    """What a matrix asks, and whom.

    Args:
        args (`MatrixArguments`):
            The settings as they were given.
        asked ([`Plan`]):
            Queries, prompt and expanders, as an evaluation has them.
        searchers (`Sequence[Searcher]`):
            In table order.
        reference (`str`):
            The cell that all are compared with.
        settings (`Mapping`):
            All that decides the results: a folder with equal settings need not be made again.
    """

    args: "MatrixArguments"
    asked: Plan
    searchers: Sequence[Searcher]
    reference: str
    settings: dict[str, Any]


def make_matrix_plan(args: "MatrixArguments") -> MatrixPlan:
    """Look everything up; a retriever that cannot be had, or asked so, must cost no answers.

    Raises:
        KitError: an argument names nothing known, or contradicts another.
    """
    searchers = load_searchers(args.retrievers)
    students = named_students(args.adapters)
    asking = {one.name: getattr(args, one.name) for one in fields(Asking)}
    asked = replace(
        make_plan(
            EvaluationArguments(output_dir=args.output_dir, retriever=searchers[0].spec, baselines=[], **asking)
        ),
        students=students,
    )
    if asked.shown in students:
        raise KitError(f"--adapters: the name {asked.shown!r} is that of what the prompt shows; give NAME=ADAPTER")
    expanders = [NONE, *([asked.shown] if asked.shown else []), *students]
    cells = [f"{expander}/{searcher.name}" for searcher in searchers for expander in expanders]
    for option, name in (("reference", args.reference), *(("against", name) for name in args.against)):
        if name is not None and name not in cells:
            raise KitError(f"--{option} {name!r} is no cell of the matrix; there are {', '.join(cells)}")
    identities = {name: asdict(asked.expander(adapter).identity) for name, adapter in students.items()}
    retrievers = {}
    for searcher in searchers:
        grader = searcher.grader(asked.collection)
        retrievers[searcher.name] = {
            "spec": searcher.spec,
            "name": grader.retriever.name,
            "formation": grader.formation.name,
        }
    settings = {
        **{name: value for name, value in asdict(args).items() if name not in ("output_dir", "adapters")},
        "collection_fingerprint": asked.collection.fingerprint,
        "retrievers": retrievers,
        "expanders": identities,
        "prompt_sha256": asked.prompt.sha256,
    }
    return MatrixPlan(args, asked, searchers, args.reference or cells[0], settings)


def named_students(texts: Sequence[str]) -> Mapping[str, str | None]:
    """Name → adapter of `ADAPTER` or `NAME=ADAPTER`; `base` first, which has none.

    Raises:
        KitError: two have one name, or one has a name that is taken.
    """
    found: dict[str, str | None] = {BASE: None}
    for text in texts:
        name, is_named, adapter = text.partition("=")
        if not (is_named and name) or "/" in name or Path(text).is_dir():
            name, adapter = Path(text).name, text
        if name in (NONE, *found):
            raise KitError(f"--adapters: the name {name!r} is taken; give NAME=ADAPTER")
        found[name] = adapter
    return found
