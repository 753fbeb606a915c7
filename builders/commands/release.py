"""Publish what belongs together: datasets, models, the Space, then a collection of them all, under one tag.

    python -m builders release --config builders/recipes/release.yaml --owner YOU
    python -m builders release --config builders/recipes/release.yaml --owner YOU --push_to_hub

Without --push_to_hub it only tells: every file with its size, every change of a card, the collection. Each card names
the others at exact revisions. Run it again after a failure: only what is missing is done. What is up and what is not
stands in `<output_dir>/release.json`; beside it lie the folders as they go up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builders.cli import parse, say
from builders.errors import KitError
from builders.publishing.hub import TAG, check_repo_id
from builders.publishing.hub_collection import HubCollection
from builders.publishing.publisher import PublishOptions
from builders.publishing.release_folder import REPORT, read_given, render_release
from builders.publishing.release_items import open_items
from builders.publishing.release_run import Release


if TYPE_CHECKING:
    from huggingface_hub import HfApi


# Option → what its folders must be, as a message calls it.
TAKEN = {"--datasets": "dataset", "--adapters": "adapter", "--retrievers": "retriever", "--space": "space"}


@dataclass
class ReleaseArguments:
    """Settings of `python -m builders release`."""

    owner: str = field(metadata={"help": "Account or organisation on the Hub."})
    tag: str = field(metadata={"help": "Tag of all repositories, like v1.0. It is never moved."})
    output_dir: str = field(metadata={"help": "Folder for the rendered release and its report."})
    datasets: list[str] = field(default_factory=list, metadata={"help": "FOLDER=NAME of each dataset."})
    adapters: list[str] = field(default_factory=list, metadata={"help": "FOLDER=NAME of each adapter."})
    retrievers: list[str] = field(default_factory=list, metadata={"help": "FOLDER=NAME of each trained retriever."})
    results: str | None = field(
        default=None,
        metadata={"help": "Folder of their evaluation: the adapters' cards are written anew, under their names."},
    )
    matrix: str | None = field(
        default=None, metadata={"help": "matrix.json that measured the retrievers: their cards are written anew, too."}
    )
    license: str = field(
        default="apache-2.0",
        metadata={"help": "With --results or --matrix: licence of the models whose cards they are."},
    )
    space: str | None = field(default=None, metadata={"help": "FOLDER=NAME of the Space."})
    collection: str | None = field(default=None, metadata={"help": "Title of the collection."})
    description: str | None = field(default=None, metadata={"help": "Line below the collection's title."})
    public: bool = field(default=False, metadata={"help": "Let everybody see all of it, once all of it is up."})
    allow_shrink: bool = field(
        default=False, metadata={"help": "Accept less than half of a dataset's published rows."}
    )
    push_to_hub: bool = field(default=False, metadata={"help": "Do it."})


def main(argv: Sequence[str] | None = None) -> None:
    """Tell what a release would do, or publish it."""
    (args,) = parse(ReleaseArguments, argv, "python -m builders release", __doc__ or "")
    from huggingface_hub import HfApi

    release(args, HfApi())


def release(args: ReleaseArguments, api: "HfApi") -> None:
    """Tell what a release would do, and with `push_to_hub` do it.

    Raises:
        KitError: see `render`; or a part cannot be published. What is up then stands in the report.
    """
    planned = render(args, api)
    lines = planned.look()
    if args.push_to_hub:
        planned.publish()
        return
    planned.tell(lines)
    say("nothing was changed on the Hub: publish it with --push_to_hub")


def render(args: ReleaseArguments, api: "HfApi") -> Release:
    """Render the release folder.

    Raises:
        KitError: a setting makes no sense, a folder is not fit to be published, or one was made from something else
            than the others.
    """
    if not TAG.fullmatch(args.tag):
        raise KitError(f"--tag {args.tag!r}: no name for a tag; give one like v1.0")
    folders = {
        "--datasets": args.datasets,
        "--adapters": args.adapters,
        "--retrievers": args.retrievers,
        "--space": [args.space] if args.space else [],
    }
    given = [read_given(option, text, args.owner) for option, texts in folders.items() for text in texts]
    if not given:
        raise KitError(f"a release needs at least one of {', '.join(folders)}")
    for folder in given:
        check_repo_id(folder.repo_id)
    collection = HubCollection(api, args.owner, args.collection, args.description) if args.collection else None
    output = Path(args.output_dir)
    render_release(output, given, args.results, args.matrix, args.license)
    items = open_items([(output / folder.name, folder.repo_id) for folder in given], api)
    given_for = {folder.repo_id: folder for folder in given}
    for item in items:
        kind = item.staged.kind if item.staged.repo_type == "model" else item.staged.repo_type
        source = given_for[item.id]
        if TAKEN[source.option] != kind:
            raise KitError(f"{source.option} {source.folder}: is {'an' if kind[0] in 'aeiou' else 'a'} {kind}")
    options = PublishOptions(tag=args.tag, public=args.public, allow_shrink=args.allow_shrink)
    return Release(items, collection, options, output / REPORT)
