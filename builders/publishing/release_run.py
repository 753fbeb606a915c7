"""Publish a release: datasets, models and Space that belong together go to the Hub in this order, then the collection.

Each card names the others at exact revisions: by commit what is published already, by the release's tag what follows.
What the tag stands on is done and never done again, so that the same release run again does only what is missing.
Everything is private until all is up; what is up and what is not is kept on disk from the first step on.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import atomic_write, dump_json
from builders.cli import say
from builders.errors import KitError
from builders.masking import without_login
from builders.publishing.hub import publish_folder
from builders.publishing.hub_collection import HubCollection, Item, holds
from builders.publishing.publish_plan import published_id
from builders.publishing.publisher import Publisher, PublishOptions
from builders.publishing.release_folder import released_card
from builders.publishing.release_items import ReleaseItem


PLANNED, BEGUN, PUBLISHED, STANDS, FAILED = "not reached", "begun", "published", "up to date", "failed"
NOTES = {
    "expansions": "Queries with candidate expansions, each graded by the search it leads to.",
    "references": "What a model answers to each query with its judged document in view.",
    "preferences": "Pairs of expansions, chosen and rejected by what retrieval gained.",
    "triplets": "Expanded queries, their relevant documents and hard negatives, for a dense retriever.",
    "adapter": "LoRA adapter that writes query expansions.",
    "retriever": "Encoder for dense retrieval, trained on queries and their expansions.",
    "space": "The plain query and the expanded one, side by side.",
}


@dataclass
class Entry:
    """What the report says of one item of a release, or of its collection.

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


class Release:
    """One release.

    Args:
        items (`Sequence[ReleaseItem]`):
            In the order to publish them.
        collection ([`HubCollection`], *optional*):
            What ties them together.
        options ([`PublishOptions`]):
            How to publish them: `tag`, `public` (once all is up) and `allow_shrink`.
        report_path (`Path`):
            Where the report is kept.
    """

    def __init__(
        self,
        items: Sequence[ReleaseItem],
        collection: HubCollection | None,
        options: PublishOptions,
        report_path: Path,
    ) -> None:
        self.items, self.collection, self.report_path, self.read_back = items, collection, report_path, False
        self.tag, self.public = str(options.tag), options.public
        self.options = replace(options, public=False)
        self.commits: dict[str, str] = {}
        self.steps: list[tuple[Entry, ReleaseItem | HubCollection]] = [
            (Entry(item.staged.kind, item.id, item.repository.url), item) for item in items
        ]
        if collection is not None:
            self.steps.append((Entry("collection", collection.title, collection.name), collection))

    # What will be done.

    def look(self) -> list[str]:
        """Compare all items with the Hub, and find whatever forbids the release before anything is changed.

        Returns:
            What would be done, line by line: every file with its size in bytes, every change of a card.

        Raises:
            KitError: a tag stands on something else, a repository holds something else, or a card is refused.
        """
        lines = []
        for item in self.items:
            publisher = self._publisher(item)
            state = item.repository.read()
            commit = publisher.tagged_commit() if state is not None else None
            if commit is None:
                untagged = publisher.untagged_commit() if state is not None else None
                if untagged is not None:
                    # What was published after it names this commit, and goes on doing so.
                    self.commits[item.id] = untagged
                lines += publisher.describe(publisher.look(state), state)
            else:
                self.commits[item.id] = commit
                lines.append(f"{item.repository.url} ({item.staged.kind}): up to date, {self.tag} is {commit}")
        return lines

    def tell(self, lines: Sequence[str]) -> None:
        """Tell what would be done, the collection last."""
        for line in (*lines, *(self.collection.lines(self._collected()) if self.collection else ())):
            say(line)
        if self.public:
            say("when all of it is up, everybody may see it")

    def _publisher(self, item: ReleaseItem) -> Publisher:
        """Write the card: commits of what goes before it, as far as they are known, the tag of what comes after."""
        before = self.items[: self.items.index(item)]
        commits = {other.id: self.commits[other.id] for other in before if other.id in self.commits}
        card = released_card(item, self.items, self.tag, commits, self.collection.title if self.collection else "")
        atomic_write(item.staged.folder / CARD, str(card).encode())
        return Publisher(replace(item.staged, repo_id=item.id), item.repository, self.options)

    def _collected(self) -> list[Item]:
        def note(item: ReleaseItem) -> str:
            commit = f", commit {self.commits[item.id]}" if item.id in self.commits else ""
            return f"{NOTES[item.staged.kind]} Release {self.tag}{commit}."

        return [Item(item.staged.repo_type, item.id, note(item)) for item in self.items]

    # Doing it.

    def publish(self) -> None:
        """Publish what is missing, in order; read the Hub again, and report.

        Raises:
            KitError: an item failed, or is not there when the Hub is read again. All after it was not begun.
        """
        failure: KitError | None = None
        current, _ = self.steps[0]
        try:
            for current, target in self.steps:
                current.state = BEGUN
                self._save_report()
                current.state = PUBLISHED if self._publish(current, target) else STANDS
            for step in self.steps if self.public else ():
                current, target = step
                target.make_public()
        except KitError as error:
            failure = error
            current.why = str(error)
            current.state = current.state if current.is_up else FAILED
        unread = self._read_back()
        self._save_report()
        source = "read from the Hub" if self.read_back else "as far as known: the Hub could not be read again"
        say(f"release {self.tag}: {self.progress} ({source})")
        for entry, _ in self.steps:
            say(entry.line())
        if self.is_complete:
            return
        where = f"{self.progress}, see {self.report_path}; run the same command again to go on"
        if failure is None and unread is not None:
            raise KitError(f"all was published, but not seen there afterwards: {unread}; {where}") from unread
        if failure is None:
            current = next(entry for entry, _ in self.steps if not self._is_done(entry))
        raise KitError(f"{current.kind} {current.id}: {failure or current.why}; {where}") from failure

    def _publish(self, entry: Entry, target: ReleaseItem | HubCollection) -> bool:
        """Publish one item, or write the collection; returns whether the Hub was changed."""
        if isinstance(target, HubCollection):
            return target.write(self._collected())
        publisher, changed = self._publisher(target), False
        commit = publisher.tagged_commit() if target.repository.read() is not None else None
        if commit is None and target.id in self.commits:
            commit, changed = self.commits[target.id], True
            publisher.tag(commit)
        elif commit is None:
            published = publish_folder(target.staged.folder, target.id, self.options, target.repository.api)
            changed = published.changed
            # Where the tag stands, and not the head, which others may have moved on.
            commit = target.repository.tags().get(self.tag) or str(published.commit)
        self.commits[target.id] = commit
        entry.commit, entry.tag = commit, self.tag
        return changed

    # The report: first what was done, in the end what the Hub itself says.

    @property
    def progress(self) -> str:
        """How much of it is up."""
        return f"{sum(entry.is_up for entry, _ in self.steps)} of {len(self.steps)} parts are up"

    @property
    def is_complete(self) -> bool:
        """Whether the Hub was seen to hold all of it."""
        return self.read_back and all(self._is_done(entry) for entry, _ in self.steps)

    def _is_done(self, entry: Entry) -> bool:
        """Whether an entry is up, and seen by everybody if it is meant to be."""
        return entry.is_up and not (self.public and entry.private)

    def _save_report(self) -> None:
        report = {"tag": self.tag, "public": self.public, "entries": [asdict(entry) for entry, _ in self.steps]}
        report |= {"read_back": self.read_back, "complete": self.is_complete}
        atomic_write(self.report_path, dump_json(report).encode())

    def _read_back(self) -> KitError | None:
        """Let the Hub say what is up; returns why it could not."""
        try:
            for entry, target in self.steps:
                if isinstance(target, HubCollection):
                    self._read_collection(entry, target)
                else:
                    self._read_item(entry, target)
        except KitError as error:
            return error
        self.read_back = True
        return None

    def _read_item(self, entry: Entry, item: ReleaseItem) -> None:
        repository = item.repository
        state = repository.read()
        tagged = repository.tags().get(self.tag) if state is not None else None
        entry.private = state.private if state is not None else None
        entry.commit, entry.tag = tagged, self.tag if tagged else None
        if entry.state == PLANNED or state is None:
            ours = None
        else:
            publish_id = replace(item.staged, repo_id=item.id).publish_id
            ours = next((c for c in (tagged, state.head) if c and published_id(repository, c) == publish_id), None)
            entry.commit = ours or tagged
        if entry.is_up and (ours is None or ours != tagged):
            entry.state, entry.why = FAILED, f"somebody changed it meanwhile: {self.tag} does not stand on it"
        elif entry.state == FAILED and ours is not None and ours == tagged:
            entry.state = PUBLISHED

    def _read_collection(self, entry: Entry, collection: HubCollection) -> None:
        there = collection.read()
        entry.private = there.private if there is not None else None
        entry.url = without_login(there.url) if there is not None else entry.url
        if entry.is_up and not holds(there, self._collected()):
            entry.state, entry.why = FAILED, "somebody changed it meanwhile: it does not hold all parts"
