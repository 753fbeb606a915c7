"""Remember what the kit itself put into a repository: everything else there belongs to somebody else."""

import json
from dataclasses import dataclass

from builders.artifacts.dataset_folder import BUILD, CARD, TIMING
from builders.artifacts.files import dump_json
from builders.publishing.card_merge import WrittenByKit, written_by_kit
from builders.publishing.staging.staged_folder import StagedFolder


MANIFEST = ".query-expansion-kit.json"


@dataclass(frozen=True)
class Manifest:
    """What was published last.

    Args:
        kind (`str`):
            `expansions`, `references`, `preferences`, `triplets`, `adapter`, `retriever` or `space`.
        publish_id (`str`):
            Hash of the folder; empty where it is not known.
        files (`frozenset[str]`):
            The kit's own files.
        rows (`dict[str, int]`):
            Config → rows of a dataset.
        card (`WrittenByKit`, *optional*):
            What the kit wrote into the card's front matter; `None` where it is not known.
    """

    kind: str
    publish_id: str
    files: frozenset[str]
    rows: dict[str, int]
    card: WrittenByKit | None

    def to_json(self) -> bytes:
        """The file's content; the same for the same folder."""
        card = self.card or WrittenByKit()
        return dump_json(
            {
                "about": "Published here by the Query Expansion Kit; the next publish replaces only these files",
                "kind": self.kind,
                "publish_id": self.publish_id,
                "files": sorted(self.files),
                "rows": self.rows,
                "card": {"keys": sorted(card.keys), "tags": sorted(card.tags), "by_hand": card.by_hand},
            }
        ).encode()


def manifest_of(staged: StagedFolder) -> Manifest:
    """The manifest that goes up with a folder."""
    return Manifest(
        kind=staged.kind,
        publish_id=staged.publish_id,
        files=frozenset(staged.files),
        rows=dict(staged.rows),
        card=written_by_kit(staged.card),
    )


def read_manifest(content: bytes, is_build: bool = False) -> Manifest | None:
    """Read a published manifest.

    Args:
        content (`bytes`):
            The file.
        is_build (`bool`):
            It is a `build.json`: a dataset folder that somebody uploaded by other means still tells what it is.

    Returns:
        `None` where it makes no sense.
    """
    try:
        data = json.loads(content)
        if is_build:
            rows = {config: sum(splits.values()) for config, splits in data["rows"].items()}
            return Manifest(str(data["kind"]), "", frozenset({*data["files"], BUILD, CARD, TIMING}), rows, None)
        known = data["card"]
        return Manifest(
            kind=str(data["kind"]),
            publish_id=str(data["publish_id"]),
            files=frozenset(map(str, data["files"])),
            rows={str(config): int(number) for config, number in data["rows"].items()},
            card=WrittenByKit(frozenset(known["keys"]), frozenset(known["tags"]), str(known["by_hand"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
