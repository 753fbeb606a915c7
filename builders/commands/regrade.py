"""Grade the same candidates anew: by another retriever, or with another formation.

    python -m builders regrade --expansions out/bm25 --retriever dense:MODEL --formation mean --output_dir out/dense

The new folder holds the same candidates with all that is known of how they were written, under the same ids; only
their grades, and what follows from them, are new. It can be used wherever expansions can.
"""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from builders.artifacts.dataset_folder import BUILD, Rows, is_current, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import DATASET, paths, require_own
from builders.artifacts.provenance import code_version, versions
from builders.artifacts.render import render_dataset, renew_card
from builders.cli import parse, say
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import PublishingOptions, build_and_publish
from builders.commands.expansions import report
from builders.errors import KitError
from builders.grading.candidates import regraded_candidates, summary
from builders.grading.grader import DEPTH, Grader
from builders.grading.selection import SELECTIONS, distillation_row
from builders.prompts.load import load_prompt
from builders.prompts.prompt import refuse_gold
from builders.retrievers.formulation import formulation_help, load_formation
from builders.retrievers.load import encoder_folders, load_retriever, retriever_help


# Where things lie and go; they do not change a byte of the dataset.
NOT_SETTINGS = ("output_dir", "expansions", "collection", "push_to_hub", "repo_id")


@dataclass
class RegradeArguments(PublishingOptions):
    """Settings of `python -m builders regrade`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    expansions: str = field(metadata={"help": "Folder made by `python -m builders expansions`."})
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
    build_and_publish(args, build_regraded)


def build_regraded(args: RegradeArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: the output folder is none of the kit's, the expansions cannot be read, or an argument names nothing
            known.
    """
    # Here, so that --help need not wait for them.

    started = time.time()
    folder, source = Path(args.output_dir), Path(args.expansions)
    read = (args.expansions, *paths(args.collection, args.student_prompt), *encoder_folders(args.retriever))
    require_own(folder, DATASET, *read)
    before = open_dataset(source, "expansions")
    select = args.select or before["select"]
    if select not in SELECTIONS:
        raise KitError(f"unknown --select {select!r}: give one of {', '.join(SELECTIONS)}")
    student = load_prompt(args.student_prompt or before["student_prompt"])
    refuse_gold([student])
    collection = load_recorded_collection(before, args.expansions, args.collection)
    grader = Grader(collection, load_retriever(args.retriever, collection), load_formation(args.formation))
    settings = {
        # Of the candidates, and where their collection lies.
        **before["settings"],
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        "select": select,
        "student_prompt_sha256": student.sha256,
        "expansions_sha256": file_hash(source / BUILD),
        "retriever_name": grader.retriever.name,
    }
    if is_current(folder, settings):
        renew_card(folder, args.repo_id)
        say(f"{folder}: up to date")
        return folder

    splits = before["rows"]["raw"]
    raw: dict[str, Rows] = {split: regraded_candidates(read_rows(source, "raw", split), grader) for split in splits}
    tables = {"raw": raw}
    if "distillation" in before["rows"]:
        chosen = {split: SELECTIONS[select](rows) for split, rows in raw.items()}
        tables["distillation"] = {
            split: [distillation_row(row, student) for row in rows] for split, rows in chosen.items()
        }
    made_here = ("files", "rows", "schema_version")
    build = {
        **{name: value for name, value in before.items() if name not in made_here},
        "settings": settings,
        "command": f"python -m builders regrade {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        "student_prompt": student.id,
        "regraded": {
            "build_sha256": settings["expansions_sha256"],
            "code_version": before["code_version"],
            "command": before["command"],
            "retriever": before["retriever"],
            "formation": before["formation"],
        },
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
        "grading_depth": DEPTH,
        "select": select,
        "yield": {
            **summary([row for rows in raw.values() for row in rows]),
            "distillation_rows": sum(map(len, tables.get("distillation", {}).values())),
        },
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "total_seconds": round(time.time() - started, 1),
    }
    render_dataset(folder, tables, build, timing, args.repo_id)
    report(folder, build)
    return folder
