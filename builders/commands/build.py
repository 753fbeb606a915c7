"""Build a dataset folder: the steps that all commands which make one have in common."""

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from builders.artifacts.dataset_folder import BUILD, Rows, Tables, is_current, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import DATASET, require_own
from builders.artifacts.provenance import made_by
from builders.artifacts.render import render_dataset, renew_card
from builders.cli import say
from builders.masking import masked
from builders.processes import Processes, join_processes
from builders.prompts.load import load_prompt
from builders.prompts.prompt import Prompt, refuse_gold
from builders.publishing.hub import check_repo_id, publish_folder


# Arguments that say where things lie and go: they do not change a byte of a dataset.
NOT_SETTINGS = frozenset({"output_dir", "push_to_hub", "repo_id"})


@dataclass(kw_only=True)
class BuildOptions:
    """Where a dataset goes, and whether it is published, too."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    push_to_hub: bool = field(default=False, metadata={"help": "Publish the folder, as `builders publish` does."})
    repo_id: str | None = field(default=None, metadata={"help": "With --push_to_hub: OWNER/NAME."})


@dataclass(kw_only=True)
class DerivedOptions(BuildOptions):
    """What a dataset is made from that needs graded candidates."""

    expansions: str = field(metadata={"help": "Folder made by `python -m builders expansions`."})


Arguments = TypeVar("Arguments", bound=BuildOptions)
Derived = TypeVar("Derived", bound=DerivedOptions)


class DatasetBuild(ABC, Generic[Arguments]):
    """One dataset in the making. Every command says what is its own; [`build`] calls its parts in their order.

    Args:
        args ([`BuildOptions`]):
            The command's arguments.

    Attributes:
        kind (`str`):
            Name of the command, and the dataset's kind.
        not_settings (`frozenset`):
            Arguments that do not change a byte.
        processes ([`Processes`]):
            Who shares the work; the main one writes the folder.
        held (`ExitStack`):
            What is held until the folder is there.
    """

    kind: ClassVar[str]
    not_settings: ClassVar[frozenset[str]] = NOT_SETTINGS
    processes: Processes
    held: ExitStack
    started: float

    def __init__(self, args: Arguments) -> None:
        self.args = args
        self.folder = Path(args.output_dir)

    def run(self) -> None:
        """Build the folder and publish it if that is asked for; a repository that cannot be named is refused before.

        Raises:
            KitError: the folder cannot be made or published.
        """
        if self.args.push_to_hub:
            check_repo_id(self.args.repo_id)
        self.build()
        if self.args.push_to_hub and join_processes().is_main:
            publish_folder(self.folder, str(self.args.repo_id))

    def build(self) -> Path:
        """Build the folder unless it is there already with the same settings; returns its path.

        Raises:
            KitError: the folder is none of the kit's, an argument names nothing known or makes no sense, what the
                dataset is made from cannot be read, or the result would be empty.
        """
        self.started = time.time()
        self.processes = join_processes()
        with ExitStack() as self.held:
            return self._build()

    def _build(self) -> Path:
        self._prepare()
        settings = masked(self._settings())
        if is_current(self.folder, settings):
            if self.processes.is_main:
                renew_card(self.folder, self.args.repo_id)
                say(f"{self.folder}: up to date")
            return self.folder
        tables = self._tables()
        if not self.processes.is_main:
            return self.folder
        build = {
            "kind": self.kind,
            **self._record(tables),
            "settings": settings,
            **made_by(f"python -m builders {self.kind}", 2),
        }
        timing = {
            **self._timing(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "total_seconds": round(time.time() - self.started, 1),
        }
        # First: where nothing is left to render, these counts say why.
        for line in self._report(tables, build):
            say(line)
        render_dataset(self.folder, tables, build, timing, self.args.repo_id)
        return self.folder

    @abstractmethod
    def _prepare(self) -> None:
        """Refuse arguments that make no sense, and read what the settings depend on. Nothing costly is done yet."""

    def _settings(self) -> dict[str, Any]:
        """All that decides the dataset's bytes: a folder with equal settings need not be made again."""
        return {name: value for name, value in asdict(self.args).items() if name not in self.not_settings}

    @abstractmethod
    def _tables(self) -> Tables:
        """Config → split → rows. Every process is asked; the main one's are written."""

    @abstractmethod
    def _record(self, tables: Tables) -> dict[str, Any]:
        """What `build.json` holds beside that which is common to all datasets."""

    def _timing(self) -> dict[str, Any]:
        """What `timing.json` holds beside the date and the seconds of the whole."""
        return {}

    @abstractmethod
    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        """What the person at the terminal is told at the end; the first line names the folder."""


class DerivedBuild(DatasetBuild[Derived]):
    """A dataset made from the candidates, or for the queries, of an expansions folder.

    Attributes:
        inherited (`tuple`):
            What is carried over from the provenance of the expansions, so that the dataset explains itself alone.
        source (`Path`), expansions (`dict`):
            That folder, and its `build.json`.
    """

    not_settings = NOT_SETTINGS | {"expansions", "collection"}
    inherited: ClassVar[tuple[str, ...]] = ()

    def open_expansions(self, *reads: str | None) -> None:
        """Read the provenance of the expansions, once nothing speaks against the output folder.

        Args:
            reads (`str`):
                What else the dataset is made from.

        Raises:
            KitError: the output folder is none of the kit's, or the expansions cannot be read.
        """
        self.source = Path(self.args.expansions)
        require_own(self.folder, DATASET, self.source, *reads)
        self.expansions = open_dataset(self.source, "expansions")

    def student_prompt(self, name: str | None) -> Prompt:
        """The prompt that a student will see, by default the one that the expansions name.

        Raises:
            KitError: there is none of that name, or it would show judged documents.
        """
        prompt = load_prompt(name or self.expansions["student_prompt"])
        refuse_gold([prompt])
        return prompt

    def candidates(self, split: str) -> dict[str, Rows]:
        """Query id → its graded candidates, rows of config `raw`, in the order of the expansions."""
        queries: dict[str, Rows] = {}
        for row in read_rows(self.source, "raw", split):
            queries.setdefault(row["query_id"], []).append(row)
        return queries

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "expansions_sha256": file_hash(self.source / BUILD)}

    def _record(self, tables: Tables) -> dict[str, Any]:
        source = {"build_sha256": file_hash(self.source / BUILD), "code_version": self.expansions["code_version"]}
        return {**{name: self.expansions[name] for name in self.inherited}, "expansions": source}
