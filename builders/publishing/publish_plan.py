"""Compare a staged folder with a repository: what one commit has to change there, and what forbids it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.artifacts.dataset_folder import BUILD, CARD
from builders.errors import KitError
from builders.publishing.card_merge import merge, read_card
from builders.publishing.manifest import MANIFEST, Manifest, manifest_of, read_manifest
from builders.publishing.repository import Repository, State, Stored, size_of
from builders.publishing.staging.staged_folder import StagedFolder


@dataclass(frozen=True)
class PublishPlan:
    """A commit to be made.

    Args:
        content (`Mapping[str, bytes | Path]`):
            Everything of the kit's that the repository will hold: path → bytes, or the file that has them.
        additions (`frozenset[str]`), deletions (`tuple[str, ...]`):
            The paths that the commit touches.
        card (`str`), published_card (`str`):
            The card to publish, and the one on the Hub (empty where there is none).
    """

    content: Mapping[str, bytes | Path]
    additions: frozenset[str]
    deletions: tuple[str, ...]
    card: str
    published_card: str

    @property
    def is_done(self) -> bool:
        """Whether the repository already holds all of it."""
        return not self.additions and not self.deletions

    def changed(self) -> dict[str, bytes | Path]:
        """What has to be uploaded, the card first: a card that the Hub refuses is found out early."""
        return {path: self.content[path] for path in sorted(self.additions, key=lambda path: (path != CARD, path))}

    def lines(self) -> list[str]:
        """All files with their sizes in bytes and what becomes of them."""
        lines = []
        for path in sorted({*self.content, *self.deletions}):
            if path in self.deletions:
                lines.append(f"  delete  {'':>13}  {path}")
                continue
            word = "write" if path in self.additions else "keep"
            lines.append(f"  {word:<6}  {size_of(self.content[path]):>13,}  {path}")
        return lines

    def card_diff(self) -> str:
        """The unified difference of the card."""
        before, after = self.published_card.splitlines(), self.card.splitlines()
        return "\n".join(
            difflib.unified_diff(before, after, f"{CARD} (on the Hub)", f"{CARD} (to publish)", lineterm="")
        )


def make_plan(staged: StagedFolder, repository: Repository, state: State | None, allow_shrink: bool) -> PublishPlan:
    """Compare a folder with a repository.

    Args:
        staged (`StagedFolder`):
            The folder.
        repository (`Repository`), state (`State`, *optional*):
            The repository as it is; `None` where there is none yet.
        allow_shrink (`bool`):
            Accept a dataset with less than half of the rows that are published.

    Raises:
        KitError: the repository holds another kind of content, a dataset would shrink, or the card on the Hub cannot
            be read.
    """
    tree = state.tree if state is not None else {}
    published = published_manifest(repository, state)
    _refuse_other_content(staged, repository, state, published)
    if published is not None and not allow_shrink:
        _refuse_shrinking(staged, repository, published)
    card, published_card = staged.card, ""
    if state is not None and CARD in tree:
        where = f"{CARD} of {repository.id} on the Hub"
        published_card = repository.content(CARD, state.head, tree[CARD]).decode("utf-8", errors="replace")
        card = merge(card, read_card(published_card, where), published.card if published else None)
    content: dict[str, bytes | Path] = {
        **staged.files,
        CARD: str(card).encode(),
        MANIFEST: manifest_of(staged).to_json(),
    }
    return PublishPlan(
        content=content,
        additions=frozenset(path for path in content if not holds(tree, path, content[path])),
        deletions=tuple(sorted((_own(staged, published, tree) & set(tree)) - set(content))),
        card=str(card),
        published_card=published_card,
    )


def published_manifest(repository: Repository, state: State | None) -> Manifest | None:
    """What the kit published into a repository."""
    if state is None:
        return None
    for path in (MANIFEST, BUILD):
        if path in state.tree:
            manifest = read_manifest(repository.content(path, state.head, state.tree[path]), is_build=path == BUILD)
            if manifest is not None:
                return manifest
    return None


def published_id(repository: Repository, revision: str) -> str | None:
    """The publish id of what the kit published at a revision."""
    stored = repository.tree(revision).get(MANIFEST)
    manifest = read_manifest(repository.content(MANIFEST, revision, stored)) if stored else None
    return manifest.publish_id if manifest else None


def holds(tree: Mapping[str, Stored], path: str, content: bytes | Path) -> bool:
    """Whether a file on the Hub has exactly these bytes."""
    return path in tree and tree[path].holds(content)


def _own(staged: StagedFolder, published: Manifest | None, tree: Mapping[str, Stored]) -> set[str]:
    """The kit's files in a repository: those it published, and whatever a config's `data_files` would take in."""
    own = set(published.files) if published else set()
    for config in staged.rows:
        own |= {path for path in tree if path.startswith(f"data/{config}/") and path.endswith(".parquet")}
    return own


def _refuse_other_content(
    staged: StagedFolder, repository: Repository, state: State | None, published: Manifest | None
) -> None:
    other = None
    if published is not None and published.kind != staged.kind:
        other = published.kind
    elif state is not None and staged.kind == "space" and state.sdk not in (None, "gradio"):
        other = f"a Space of sdk {state.sdk}"
    elif state is not None and staged.kind == "adapter" and published is None:
        full = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"} & set(state.tree)
        other = "a full model" if full else None
    if other is not None:
        raise KitError(f"{repository.url}: holds {other}, and this folder is {staged.kind}: choose another --repo_id")


def _refuse_shrinking(staged: StagedFolder, repository: Repository, published: Manifest) -> None:
    for config, number in published.rows.items():
        left = staged.rows.get(config, 0)
        if staged.rows and 2 * left < number:
            raise KitError(
                f"{repository.url}: config {config!r} has {number} rows there and {left} in {staged.folder}: "
                "if that is meant, say --allow_shrink"
            )
