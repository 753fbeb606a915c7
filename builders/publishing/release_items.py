"""Find out which folders of a release were made from which, by the hashes in their provenance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.files import file_hash
from builders.artifacts.markdown import code, hub_link, text
from builders.artifacts.model_folder import ADAPTER, RETRIEVER, TRAINING, adapter_name
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.masking import without_login
from builders.publishing.card_merge import Card
from builders.publishing.repository import Repository
from builders.publishing.staging.load import open_staged
from builders.publishing.staging.staged_dataset import KINDS
from builders.publishing.staging.staged_folder import StagedFolder
from builders.publishing.staging.staged_model import WEIGHTS
from builders.publishing.staging.staged_space import SPACE
from builders.retrievers.encoder import Encoder


if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class ReleaseItem:
    """One repository of a release.

    Args:
        staged (`StagedFolder`):
            Its folder, a working copy.
        repository (`Repository`):
            Where it goes.
        card (`Card`):
            The card as it was rendered, with marks, and without a word on the release.
        sources (`tuple[ReleaseItem, ...]`):
            What it was made from: the dataset of its candidates, the data trained on, the adapter gone on with or
            carried.
        base (`str`):
            The base model and its revision, as Markdown; empty for a dataset.
    """

    staged: StagedFolder
    repository: Repository
    card: Card
    sources: "tuple[ReleaseItem, ...]"
    base: str

    @property
    def id(self) -> str:
        """`OWNER/NAME`."""
        return self.repository.id

    def origins(self) -> "list[ReleaseItem]":
        """All it was made from, directly or not, the earliest first."""
        found = {item.id: item for source in self.sources for item in (*source.origins(), source)}
        return list(found.values())

    def make_public(self) -> None:
        """Let everybody see the repository, if it is there."""
        state = self.repository.read()
        if state is not None and state.private:
            self.repository.make_public()


def open_items(folders: Sequence[tuple[Path, str]], api: "HfApi") -> list[ReleaseItem]:
    """Check folders, and find out which was made from which.

    Args:
        folders (`Sequence[tuple[Path, str]]`):
            Folders and the repositories (`OWNER/NAME`) that they go to: datasets, models, Space.
        api (`HfApi`):
            The Hub.

    Returns:
        The items in the order given, except that each stands behind what it was made from.

    Raises:
        KitError: a folder is not fit to be published, is given twice, or was made from something that is not among
            the others.
    """
    repo_of = dict(folders)
    known: dict[str, StagedFolder] = {}
    for folder in repo_of:
        staged = open_staged(folder)
        twin = known.setdefault(_identity(staged), staged)
        if twin is not staged:
            raise KitError(f"{folder}: holds the same as {twin.folder}; a release takes it once")
    needs = {identity: {*_needs(staged, known)} & set(known) for identity, staged in known.items()}
    items: dict[str, ReleaseItem] = {}
    while len(items) < len(known):
        # Hashes of what was there before: there are no circles.
        identity = next(name for name in known if name not in items and needs[name] <= set(items))
        staged = known[identity]
        items[identity] = ReleaseItem(
            staged=staged,
            repository=Repository(api, repo_of[staged.folder], staged.repo_type),
            card=staged.card,
            sources=tuple(item for name, item in items.items() if name in needs[identity]),
            base=_base(staged, without_login(api.endpoint)),
        )
    return list(items.values())


def _identity(staged: StagedFolder) -> str:
    """What the provenance of others calls a folder."""
    if staged.kind == ADAPTER:
        return _weights(staged.folder)
    if staged.kind == RETRIEVER:
        return Encoder(str(staged.folder)).revision
    if staged.kind not in (*KINDS, "space"):
        raise KitError(
            f"{staged.folder}: is of kind {staged.kind}; a release takes datasets, adapters, retrievers, a Space"
        )
    return file_hash(staged.folder / (SPACE if staged.kind == "space" else BUILD))


def _weights(folder: Path) -> str:
    return adapter_name(str(folder)).rpartition("@")[2]


def _needs(staged: StagedFolder, known: Mapping[str, StagedFolder]) -> Iterator[str]:
    """The identities of what a folder was made from.

    Raises:
        KitError: one of them is not known, although the release has others of its kind.
    """
    if staged.kind in (ADAPTER, RETRIEVER):
        yield from _trained_on(staged.folder, known)
    elif staged.kind == "space":
        yield from _carried(staged.folder, known)
    elif staged.kind != "expansions":
        build = _record(staged.folder / BUILD)
        for kind in ("expansions", *(kind for kind in ("references",) if kind in build)):
            needed = str(_record(staged.folder / BUILD, kind, "build_sha256"))
            yield _of_release(needed, staged.folder, "made from", kind, (kind,), known)


def _trained_on(folder: Path, known: Mapping[str, StagedFolder]) -> Iterator[str]:
    for role, source in _record(folder / TRAINING, "settings", "data").items():
        kinds = ("triplets",) if role == "triplets" else ("expansions", "preferences")
        yield _of_release(source["build_sha256"], folder, "trained on", role, kinds, known)
    parent = _record(folder / TRAINING, "parent")
    if parent:
        needed = str(parent).rpartition("@")[2]
        if needed not in known:
            raise KitError(f"{folder}: goes on with {parent}, which is not in the release: add its folder")
        yield needed


def _of_release(
    needed: str, folder: Path, how: str, role: str, kinds: Sequence[str], known: Mapping[str, StagedFolder]
) -> str:
    """Return the identity of a dataset that a folder was made from, unless the release has only others like it."""
    others = _has(known, *kinds)
    if others and needed not in known:
        raise KitError(
            f"{folder}: was {how} other {role} than are in the release ({', '.join(others)}): give the folder that it "
            f"was {how}, or make it again"
        )
    return needed


def _carried(folder: Path, known: Mapping[str, StagedFolder]) -> Iterator[str]:
    adapter = _record(folder / SPACE, "adapter")
    others = _has(known, ADAPTER)
    if not adapter or not others:
        return
    again = "render it with one of the release's: python -m space --results RESULTS --adapter FOLDER --render_only"
    if not (folder / adapter / WEIGHTS).is_file():
        raise KitError(f"{folder}: loads its adapter {adapter} from the Hub, at no fixed revision; {again}")
    needed = _weights(folder / adapter)
    if needed not in known:
        raise KitError(f"{folder}: carries another adapter than {', '.join(others)}; {again}")
    yield needed


def _has(known: Mapping[str, StagedFolder], *kinds: str) -> list[str]:
    return [str(staged.folder.name) for staged in known.values() if staged.kind in kinds]


def _record(path: Path, *keys: str) -> Any:
    """A value of a folder's own provenance."""
    try:
        value = read_record(path)
        for key in keys:
            value = value[key]
        return value
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{path}: broken, or of another version (no {'.'.join(keys)}); make the folder again"
        ) from error


def _base(staged: StagedFolder, endpoint: str) -> str:
    if staged.repo_type == "dataset":
        return ""
    if staged.kind == "space":
        model, revision, weights = (_record(staged.folder / SPACE, key) for key in ("model", "revision", "weights"))
    else:
        record = _record(staged.folder / TRAINING, "base")
        model, revision, weights = record["model_id"], record.get("revision"), record.get("weights")
    said = hub_link(model, endpoint) + (f", revision {code(revision)}" if revision else "")
    return said if weights in (None, "the Hub") else f"{said} ({text(weights)})"
