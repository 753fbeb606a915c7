"""Grade the same candidates anew: by another retriever, or with another query formulation.

    python -m builders regrade --expansions out/bm25 --retriever dense:MODEL --formation mean --output_dir out/dense

The new folder holds the same candidates with all that is known of how they were written, under the same ids; only
their grades, and what follows from them, are new. It can be used wherever expansions can.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from builders.artifacts.dataset_folder import Tables, read_rows
from builders.artifacts.ownership import paths
from builders.cli import parse
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import DerivedBuild, DerivedOptions
from builders.grading.candidates import grading_record, grading_report, regraded_candidates
from builders.grading.grader import Grader
from builders.grading.selection import distillation_rows, require_selection
from builders.retrievers.formulation import formulation_help, load_formulation
from builders.retrievers.load import encoder_folders, load_retriever, retriever_help


@dataclass
class RegradeArguments(DerivedOptions):
    """Settings of `python -m builders regrade`."""

    retriever: str = field(metadata={"help": retriever_help("What grades")})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    select: str | None = field(
        default=None, metadata={"help": "Candidates to imitate: all, better, harmless, best; by default as before."}
    )
    collection: str | None = field(
        default=None, metadata={"help": "Where the expansions' collection lies now, if not where it lay then."}
    )
    student_prompt: str | None = field(
        default=None, metadata={"help": "Zero-shot prompt of the rows to imitate; by default the expansions' own."}
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Grade anew from the command line."""
    (args,) = parse(RegradeArguments, argv, "python -m builders regrade", (__doc__ or "").splitlines()[0])
    RegradeBuild(args).run()


class RegradeBuild(DerivedBuild[RegradeArguments]):
    """Grades the candidates of an expansions folder by another search; what is made is an expansions folder."""

    kind = "regrade"

    def _prepare(self) -> None:
        args = self.args
        self.open_expansions(*paths(args.collection, args.student_prompt), *encoder_folders(args.retriever))
        self.select = args.select or self.expansions["select"]
        require_selection(self.select)
        self.student = self.student_prompt(args.student_prompt)
        collection = load_recorded_collection(self.expansions, args.expansions, args.collection)
        self.grader = Grader(collection, load_retriever(args.retriever, collection), load_formulation(args.formation))

    def _settings(self) -> dict[str, Any]:
        return {
            **self.expansions["settings"],  # Of the candidates, and where their collection lies.
            **super()._settings(),
            "select": self.select,
            "student_prompt_sha256": self.student.sha256,
            "retriever_name": self.grader.retriever.name,
        }

    def _tables(self) -> Tables:
        before = self.expansions["rows"]
        raw = {
            split: regraded_candidates(read_rows(self.source, "raw", split), self.grader) for split in before["raw"]
        }
        if "distillation" not in before:
            return {"raw": raw}
        return {"raw": raw, "distillation": distillation_rows(raw, self.select, self.student, self.grader.collection)}

    def _record(self, tables: Tables) -> dict[str, Any]:
        """The provenance of the expansions, their kind too, with what is new."""
        before, made_here = self.expansions, ("files", "rows", "schema_version")
        kept = ("code_version", "command", "retriever", "formation")
        return {
            **{name: value for name, value in before.items() if name not in made_here},
            **grading_record(
                self.grader,
                self.select,
                tables["raw"],
                tables.get("distillation", {}),
                before["yield"].get("stripped", {}),
            ),
            "student_prompt": self.student.id,
            "regraded": {**super()._record(tables)["expansions"], **{name: before[name] for name in kept}},
        }

    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        return grading_report(self.folder, build["yield"])
