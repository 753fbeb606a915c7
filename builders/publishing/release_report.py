"""The report of a release: what of it is up and what is not, kept on disk from the first step on."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from builders.artifacts.files import atomic_write, dump_json
from builders.cli import say


REPORT = "release.json"
PLANNED, BEGUN, PUBLISHED, STANDS, FAILED = "not reached", "begun", "published", "up to date", "failed"


@dataclass
class Entry:
    """One part of a release, or its collection.

    Args:
        kind (`str`), id (`str`), url (`str`):
            What it is and where.
        state (`str`):
            `not reached`, `begun`, `published` (by this run), `up to date` (it was there) or `failed`.
        commit (`str`, *optional*), tag (`str`, *optional*), private (`bool`, *optional*):
            What the Hub holds; `None` where there is nothing, or nothing is known.
        why (`str`, *optional*):
            What went wrong.
    """

    kind: str
    id: str
    url: str
    state: str = PLANNED
    commit: str | None = None
    tag: str | None = None
    private: bool | None = None
    why: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is on the Hub as the release wants it."""
        return self.state in (PUBLISHED, STANDS)

    def line(self) -> str:
        """The entry in one line."""
        sight = {True: "private", False: "public", None: ""}[self.private]
        said = [f"  {self.state:<11}", f"{self.kind:<11}", self.url, self.tag, self.commit, sight]
        return "  ".join(word for word in said if word) + (f": {self.why}" if self.why else "")


@dataclass
class ReleaseReport:
    """All entries, in the order in which they are published.

    Args:
        path (`Path`):
            Where it is kept.
        tag (`str`):
            The release's tag.
        public (`bool`):
            Whether everybody is meant to see it.
        entries (`list[Entry]`):
            The parts, then the collection.
        read_back (`bool`):
            Whether the entries say what was read from the Hub after all was done.
    """

    path: Path
    tag: str
    public: bool
    entries: list[Entry] = field(default_factory=list)
    read_back: bool = False

    @property
    def progress(self) -> str:
        """How much of it is up."""
        return f"{sum(entry.is_up for entry in self.entries)} of {len(self.entries)} parts are up"

    def is_done(self, entry: Entry) -> bool:
        """Whether an entry is up, and seen by everybody if it is meant to be."""
        return entry.is_up and not (self.public and entry.private)

    @property
    def is_complete(self) -> bool:
        """Whether the Hub was seen to hold all of it."""
        return self.read_back and all(self.is_done(entry) for entry in self.entries)

    def save(self) -> None:
        """Write it down."""
        content = asdict(self) | {"complete": self.is_complete}
        del content["path"]
        atomic_write(self.path, dump_json(content).encode())

    def say(self) -> None:
        """Tell it."""
        source = "read from the Hub" if self.read_back else "as far as known: the Hub could not be read again"
        say(f"release {self.tag}: {self.progress} ({source})")
        for entry in self.entries:
            say(entry.line())
