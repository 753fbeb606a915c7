"""The part: one repository of a release, and what it was made from, proved by the hashes in its provenance."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD, CARD
from builders.artifacts.files import file_hash
from builders.artifacts.model_folder import RETRIEVER as RETRIEVER
from builders.artifacts.model_folder import TRAINING, adapter_name
from builders.errors import KitError
from builders.publishing.card_merge import Card, marked, read_card
from builders.publishing.repository import Repository
from builders.publishing.staging.adapter import WEIGHTS
from builders.publishing.staging.load import open_rendered
from builders.publishing.staging.space import SPACE
from builders.publishing.staging.staged import Rendered
from builders.retrievers.encoder import Encoder


if TYPE_CHECKING:
    from huggingface_hub import HfApi

RECORDS = {"expansions": BUILD, "references": BUILD, "preferences": BUILD, "triplets": BUILD, "space": SPACE}


@dataclass(frozen=True)
class Part:
    """One repository of a release.

    Args:
        rendered (`Rendered`):
            Its folder, a working copy.
        repository (`Repository`):
            Where it goes.
        card (`Card`):
            The card as it was rendered, with marks, and without a word on the release.
        sources (`tuple[Part, ...]`):
            What it was made from: the dataset of its candidates, the data trained on, the adapter gone on with or
            carried.
        base (`str`):
            The base model and its revision, as Markdown; empty for a dataset.
    """

    rendered: Rendered
    repository: Repository
    card: Card
    sources: "tuple[Part, ...]"
    base: str

    @property
    def id(self) -> str:
        """`OWNER/NAME`."""
        return self.repository.id

    def origins(self) -> "Iterator[Part]":
        """All it was made from, directly or not, the earliest first."""
        found: dict[str, Part] = {}
        for source in self.sources:
            for part in (*source.origins(), source):
                found.setdefault(part.id, part)
        yield from found.values()


def open_parts(folders: Sequence[tuple[Path, str]], api: "HfApi") -> list[Part]:
    """Check rendered folders, and find out which was made from which.

    Args:
        folders (`Sequence[tuple[Path, str]]`):
            Folders and the repositories (`OWNER/NAME`) that they go to: datasets, models, Space.
        api (`HfApi`):
            The Hub.

    Returns:
        The parts in the order given, except that each stands behind what it was made from.

    Raises:
        KitError: a folder is not fit to be published, is given twice, or was made from something that is not among
            the others.
    """
    repo_of = dict(folders)
    known: dict[str, Rendered] = {}
    for folder in repo_of:
        rendered = open_rendered(folder)
        twin = known.setdefault(_identity(rendered), rendered)
        if twin is not rendered:
            raise KitError(f"{folder}: holds the same as {twin.folder}; a release takes it once")
    needs = {identity: _needs(rendered, known) for identity, rendered in known.items()}
    parts: dict[str, Part] = {}
    while len(parts) < len(known):
        # Hashes of what was there before: there are no circles.
        identity = next(name for name in known if name not in parts and needs[name] <= set(parts))
        rendered = known[identity]
        path = rendered.folder / CARD
        parts[identity] = Part(
            rendered=rendered,
            repository=Repository(api, repo_of[rendered.folder], rendered.repo_type),
            card=marked(read_card(path.read_text(), str(path))),
            sources=tuple(part for name, part in parts.items() if name in needs[identity]),
            base=_base(rendered, api.endpoint),
        )
    return list(parts.values())


def _identity(rendered: Rendered) -> str:
    """What the provenance of others calls a folder."""
    if rendered.kind == "adapter":
        return _weights(rendered.folder)
    if rendered.kind == RETRIEVER:
        return Encoder(str(rendered.folder)).revision
    if rendered.kind not in RECORDS:
        raise KitError(
            f"{rendered.folder}: is of kind {rendered.kind}; a release takes datasets, adapters, retrievers, a Space"
        )
    return file_hash(rendered.folder / RECORDS[rendered.kind])


def _weights(folder: Path) -> str:
    return adapter_name(str(folder)).rpartition("@")[2]


def _needs(rendered: Rendered, known: Mapping[str, Rendered]) -> set[str]:
    """The identities of what a folder was made from.

    Raises:
        KitError: one of them is not known, although the release has others of its kind.
    """
    made_of = dict.fromkeys(("references", "preferences", "triplets"), _candidates)
    find = {**made_of, "adapter": _trained_on, RETRIEVER: _trained_on, "space": _carried}.get(rendered.kind)
    return {needed for needed in find(rendered.folder, known) if needed in known} if find else set()


def _has(known: Mapping[str, Rendered], *kinds: str) -> list[str]:
    return [str(rendered.folder.name) for rendered in known.values() if rendered.kind in kinds]


def _candidates(folder: Path, known: Mapping[str, Rendered]) -> Iterator[str]:
    """The datasets that a dataset was made from, as its build.json names them."""
    build = _record(folder / BUILD)
    for kind in ("expansions", *(kind for kind in ("references",) if kind in build)):
        needed = str(_record(folder / BUILD, kind, "build_sha256"))
        others = _has(known, kind)
        if others and needed not in known:
            raise KitError(
                f"{folder}: was made from other {kind} than {', '.join(others)}: give the folder that it was made "
                "from, or make it again"
            )
        yield needed


def _trained_on(folder: Path, known: Mapping[str, Rendered]) -> Iterator[str]:
    data = _record(folder / TRAINING, "settings", "data")
    for role, source in data.items():
        others = _has(known, *(("triplets",) if role == "triplets" else ("expansions", "preferences")))
        needed = source["build_sha256"]
        if others and needed not in known:
            raise KitError(
                f"{folder}: was trained on other {role} than are in the release ({', '.join(others)}): give the "
                "folder that it was trained on, or train it again"
            )
        yield needed
    parent = _record(folder / TRAINING, "parent")
    if parent:
        needed = str(parent).rpartition("@")[2]
        if needed not in known:
            raise KitError(f"{folder}: goes on with {parent}, which is not in the release: add its folder")
        yield needed


def _carried(folder: Path, known: Mapping[str, Rendered]) -> Iterator[str]:
    adapter = _record(folder / SPACE, "adapter")
    others = _has(known, "adapter")
    if not adapter or not others:
        return
    again = "render it with one of the release's: python -m space --results RESULTS --adapter FOLDER --render_only"
    if not (folder / adapter / WEIGHTS).is_file():
        raise KitError(f"{folder}: loads its adapter {adapter} from the Hub, at no fixed revision; {again}")
    needed = _weights(folder / adapter)
    if needed not in known:
        raise KitError(f"{folder}: carries another adapter than {', '.join(others)}; {again}")
    yield needed


def _record(path: Path, *keys: str) -> Any:
    """A value of a folder's own provenance."""
    try:
        value = json.loads(path.read_text())
        for key in keys:
            value = value[key]
        return value
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{path}: broken, or of another version (no {'.'.join(keys)}); make the folder again"
        ) from error


def _base(rendered: Rendered, endpoint: str) -> str:
    if rendered.kind in ("adapter", RETRIEVER):
        record = _record(rendered.folder / TRAINING, "base")
        model, revision, weights = record["model_id"], record.get("revision"), record.get("weights")
    elif rendered.kind == "space":
        model, revision, weights = (_record(rendered.folder / SPACE, key) for key in ("model", "revision", "weights"))
    else:
        return ""
    said = f"[{model}]({endpoint}/{model})" + (f", revision `{revision}`" if revision else "")
    return said if weights in (None, "the Hub") else f"{said} ({weights})"
