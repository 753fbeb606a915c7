"""The release: datasets, models and Space that belong together go to the Hub in this order, then the collection.

Each card names the others at exact revisions: by commit what is published already, by the release's tag what follows.
What the tag stands on is done and never done again, so that the same release run again does only what is missing.
Everything is private until all is up.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import atomic_write
from builders.cli import say
from builders.errors import KitError
from builders.publishing.hub import publish_folder
from builders.publishing.hub_collection import HubCollection, Item, holds
from builders.publishing.plan import published_id
from builders.publishing.publisher import Wishes
from builders.publishing.release_card import card_of_release
from builders.publishing.release_outlook import Outlook, look_at, standing
from builders.publishing.release_part import Part
from builders.publishing.release_report import BEGUN, FAILED, PLANNED, PUBLISHED, STANDS, Entry, ReleaseReport
from builders.publishing.repository import Repository
from builders.publishing.staging.staged import Rendered


NOTES = {
    "expansions": "Queries with candidate expansions, each graded by the search it leads to.",
    "references": "What a model answers to each query with its judged document in view.",
    "preferences": "Pairs of expansions, chosen and rejected by what retrieval gained.",
    "triplets": "Expanded queries, their relevant documents and hard negatives, for a dense retriever.",
    "adapter": "LoRA adapter that writes query expansions.",
    "retriever": "Encoder for dense retrieval, trained on queries and their expansions.",
    "space": "The plain query and the expanded one, side by side.",
}


class Release:
    """One release.

    Args:
        parts (`Sequence[Part]`):
            In the order to publish them.
        tag (`str`):
            The tag of all.
        collection ([`HubCollection`], *optional*):
            What ties them together.
        public (`bool`):
            Let everybody see all of it once all is up.
        allow_shrink (`bool`):
            Let a dataset lose more than half of its rows.
        report_path (`Path`):
            Where the report is kept.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        tag: str,
        collection: HubCollection | None,
        public: bool,
        allow_shrink: bool,
        report_path: Path,
    ) -> None:
        self.parts, self.tag, self.collection = parts, tag, collection
        self.public, self.allow_shrink = public, allow_shrink
        self.commits: dict[str, str] = {}
        entries = [Entry(part.rendered.kind, part.id, part.repository.url) for part in parts]
        if collection is not None:
            entries.append(Entry("collection", collection.title, collection.name))
        self.report = ReleaseReport(report_path, tag, public, entries)

    # What will be done.

    def look(self) -> list[Outlook]:
        """Compare all parts with the Hub, and find whatever forbids the release before anything is changed.

        Raises:
            KitError: a tag stands on something else, a repository holds something else, or a card is refused.
        """
        outlooks = []
        for part in self.parts:
            rendered = self._render_card(part)
            outlook = look_at(part, rendered, self.tag, self.allow_shrink)
            if outlook.done is not None:
                self.commits[part.id] = outlook.done
            outlooks.append(outlook)
        return outlooks

    def tell(self, outlooks: Sequence[Outlook]) -> None:
        """Tell what would be done: every file with its size in bytes, every change of a card, the collection."""
        for outlook in outlooks:
            for line in outlook.lines():
                say(line)
        if self.collection is not None:
            for line in self.collection.lines(self._items()):
                say(line)
        if self.public:
            say("when all of it is up, everybody may see it")

    def _render_card(self, part: Part) -> Rendered:
        """Write the card: commits of what goes before it, as far as they are known, the tag of what comes after."""
        before = self.parts[: self.parts.index(part)]
        commits = {other.id: self.commits[other.id] for other in before if other.id in self.commits}
        title = self.collection.title if self.collection else ""
        card = card_of_release(part, self.parts, self.tag, commits, title)
        atomic_write(part.rendered.folder / CARD, str(card).encode())
        return replace(part.rendered, repo_id=part.id)

    # Doing it.

    def publish(self) -> None:
        """Publish what is missing, in order; read the Hub again, and report.

        Raises:
            KitError: a part failed, or is not there when the Hub is read again. All after it was not begun.
        """
        failure: KitError | None = None
        current = self.report.entries[0]
        try:
            for current, step in self._steps():
                current.state = BEGUN
                self.report.save()
                current.state = PUBLISHED if step() else STANDS
            for entry, open_up in self._openings():
                current = entry
                open_up()
        except KitError as error:
            failure = error
            current.why = str(error)
            current.state = current.state if current.is_up else FAILED
        unread = self._read_back()
        self.report.save()
        self.report.say()
        if self.report.is_complete:
            return
        where = f"{self.report.progress}, see {self.report.path}; run the same command again to go on"
        if failure is None and unread is not None:
            raise KitError(f"all was published, but not seen there afterwards: {unread}; {where}") from unread
        if failure is None:
            current = next(entry for entry in self.report.entries if not self.report.is_done(entry))
        raise KitError(f"{current.kind} {current.id}: {failure or current.why}; {where}") from failure

    def _steps(self) -> "list[tuple[Entry, Callable[[], bool]]]":
        """What to do for each entry; it returns whether the Hub was changed."""
        steps: list[Callable[[], bool]] = [partial(self._publish_part, part) for part in self.parts]
        if self.collection is not None:
            steps.append(partial(self._write_collection, self.collection))
        return list(zip(self.report.entries, steps, strict=True))

    def _publish_part(self, part: Part) -> bool:
        rendered = self._render_card(part)
        state = part.repository.read()
        commit = standing(part, rendered, self.tag) if state is not None else None
        changed = False
        if commit is None:
            wishes = Wishes(tag=self.tag, allow_shrink=self.allow_shrink)
            published = publish_folder(rendered.folder, part.id, wishes, part.repository.api)
            changed = published.changed
            # Where the tag stands, and not the head, which others may have moved on.
            commit = part.repository.tags().get(self.tag) or str(published.commit)
        self.commits[part.id] = commit
        entry = self.report.entries[self.parts.index(part)]
        entry.commit, entry.tag = commit, self.tag
        return changed

    def _write_collection(self, collection: HubCollection) -> bool:
        return collection.write(self._items())

    def _openings(self) -> "list[tuple[Entry, Callable[[], None]]]":
        """What lets everybody see each entry, in the same order."""
        steps: list[Callable[[], None]] = [partial(self._open, part.repository) for part in self.parts]
        if self.collection is not None:
            steps.append(self.collection.make_public)
        return list(zip(self.report.entries, steps, strict=True)) if self.public else []

    def _open(self, repository: Repository) -> None:
        state = repository.read()
        if state is not None and state.private:
            repository.make_public()

    def _items(self) -> list[Item]:
        def note(part: Part) -> str:
            commit = f", commit {self.commits[part.id]}" if part.id in self.commits else ""
            return f"{NOTES[part.rendered.kind]} Release {self.tag}{commit}."

        return [Item(part.rendered.repo_type, part.id, note(part)) for part in self.parts]

    # The truth afterwards.

    def _read_back(self) -> KitError | None:
        """Let the Hub say what is up; returns why it could not."""
        try:
            for entry, part in zip(self.report.entries, self.parts, strict=False):
                self._read_part(entry, part)
            if self.collection is not None:
                self._read_collection(self.report.entries[-1], self.collection)
        except KitError as error:
            return error
        self.report.read_back = True
        return None

    def _read_part(self, entry: Entry, part: Part) -> None:
        repository = part.repository
        state = repository.read()
        tagged = repository.tags().get(self.tag) if state is not None else None
        entry.private = state.private if state is not None else None
        entry.commit, entry.tag = tagged, self.tag if tagged else None
        if entry.state == PLANNED or state is None:
            ours = None
        else:
            publish_id = replace(part.rendered, repo_id=part.id).publish_id
            ours = next((c for c in (tagged, state.head) if c and published_id(repository, c) == publish_id), None)
            entry.commit = ours or tagged
        if entry.is_up and (ours is None or ours != tagged):
            entry.state, entry.why = FAILED, f"somebody changed it meanwhile: {self.tag} does not stand on it"
        elif entry.state == FAILED and ours is not None and ours == tagged:
            entry.state = PUBLISHED

    def _read_collection(self, entry: Entry, collection: HubCollection) -> None:
        there = collection.read()
        entry.private = there.private if there is not None else None
        entry.url = there.url if there is not None else entry.url
        if entry.is_up and not holds(there, self._items()):
            entry.state, entry.why = FAILED, "somebody changed it meanwhile: it does not hold all parts"
