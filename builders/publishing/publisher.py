"""Publish a staged folder to the Hub in one commit, whole or not at all.

Check, one commit on top of the head that was read, tag, and only then public. A lost answer is no failure: the head is
read again, and what is there decides. The same command run again finishes what was interrupted.
"""

import re
from dataclasses import dataclass, field, replace

from builders.artifacts.dataset_folder import CARD
from builders.cli import say
from builders.errors import KitError
from builders.masking import without_login
from builders.publishing.failure import Cause, Failure, NotSeen, Patience, failure_errors, failure_of, patiently
from builders.publishing.publish_plan import PublishPlan, holds, make_plan, published_id
from builders.publishing.repository import Repository, State
from builders.publishing.staging.staged_folder import StagedFolder


# The client itself tries six times to upload; when it gives up on a failing server, once more is enough.
UPLOADS = 2
COMMIT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Published:
    """What is on the Hub now.

    Args:
        url (`str`):
            The repository's address, or the pull request's.
        commit (`str`, *optional*):
            The commit that holds the folder; `None` after a dry run and for a pull request that was open already.
        tag (`str`, *optional*):
            The tag on that commit.
        changed (`bool`):
            Whether a commit was made.
    """

    url: str
    commit: str | None
    tag: str | None
    changed: bool


@dataclass(kw_only=True)
class PublishOptions:
    """How to publish."""

    tag: str | None = field(default=None, metadata={"help": "Tag the commit; a tag that exists is never moved."})
    public: bool = field(default=False, metadata={"help": "Let everybody see it once it is complete."})
    revision: str | None = field(default=None, metadata={"help": "Branch; made from main if it is not there."})
    create_pr: bool = field(default=False, metadata={"help": "Open a pull request instead of committing to main."})
    dry_run: bool = field(default=False, metadata={"help": "List the files and show the card's changes, do nothing."})
    allow_shrink: bool = field(default=False, metadata={"help": "Accept less than half of the published rows."})


class Publisher:
    """One publish of one folder into one repository."""

    def __init__(self, staged: StagedFolder, repository: Repository, options: PublishOptions) -> None:
        self.staged, self.repository, self.options = staged, repository, options

    def publish(self) -> Published:
        """Publish, or only tell.

        Raises:
            KitError: see `publish_folder`.
        """
        state = self.repository.read()
        tagged = self.tagged_commit() if state is not None else None
        plan = self.look(state)
        if self.options.dry_run:
            heading, *lines = self.describe(plan, state)
            for line in (f"{heading}; nothing is changed by this dry run", *lines):
                say(line)
            return Published(self.repository.url, None, None, False)
        if state is None:
            self.repository.create()
            state = self._read_again()
            plan = self._plan(state)
        if not state.branch_exists and not self.options.create_pr:
            self.repository.create_branch(state.head)
            state = self._read_again()
            if not state.branch_exists:
                raise KitError(f"{self.repository.url}: branch {self.options.revision!r} was made, and is not there")
            plan = self._plan(state)
        published = self._settle(state, plan)
        if self.options.create_pr:
            say(f"{published.url}: {'proposed' if published.url != self.repository.url else 'up to date'}")
            return published
        try:
            if self.options.tag and tagged is None:
                self.tag(str(published.commit))
            if self.options.public and state.private:
                self.repository.make_public()
        except KitError as error:
            raise KitError(
                f"published as commit {published.commit}, but not all is done: {error}; run it again"
            ) from error
        return self._report(replace(published, tag=self.options.tag), state)

    def _plan(self, state: State | None) -> PublishPlan:
        return make_plan(self.staged, self.repository, state, self.options.allow_shrink)

    def _read_again(self) -> State:
        patience, gone = Patience(), f"{self.repository.url}: is not there (any more); run the same command again"
        while (state := self.repository.read()) is None:
            # What was only just made may not be seen at once.
            patience.pause(Failure(Cause.LOST, gone))
        return state

    # Before anything is changed.

    def look(self, state: State | None) -> PublishPlan:
        """Compare the folder with the repository, and find whatever forbids the publish. Nothing is changed there.

        Args:
            state (`State`, *optional*):
                The repository as it is; `None` where there is none yet.

        Raises:
            KitError: the repository is of another type or holds something else, or the card is refused.
        """
        other = self.repository.type_of_namesake() if state is None else None
        if other is not None:
            raise KitError(
                f"{self.repository.id} is a {other} on the Hub, and {self.staged.folder} is a "
                f"{self.repository.type}: choose another name for the repository"
            )
        plan = self._plan(state)
        errors = self.repository.card_errors(plan.card)
        if errors:
            raise KitError(f"{self.staged.folder / CARD}: the Hub refuses the card: {'; '.join(errors)}")
        return plan

    def tagged_commit(self) -> str | None:
        """The commit of a repository that is there on which the tag stands; `None` where there is no such tag.

        Raises:
            KitError: it stands on something else than this folder.
        """
        commit = self.repository.tags().get(self.options.tag) if self.options.tag else None
        if commit is not None and published_id(self.repository, commit) != self.staged.publish_id:
            raise KitError(
                f"{self.repository.url}: tag {self.options.tag!r} stands on another version ({commit[:12]}), and tags "
                "are never moved: give another --tag"
            )
        return commit

    def describe(self, plan: PublishPlan, state: State | None) -> list[str]:
        """What would be done: a heading, each file with its size in bytes, what changes of a card that is there."""
        fate = "there" if state is not None else "new" if self.options.public else "new, private"
        tag = f", tag {self.options.tag}" if self.options.tag else ""
        lines = [f"{self.repository.url} ({self.staged.kind}, {fate}){tag}", *plan.lines()]
        lines += [f"  leave                 {name}" for name in self.staged.left_out]
        # A whole card would hide all else.
        new = f"  a new card, {len(plan.card.splitlines())} lines: {self.staged.folder / CARD}"
        return [*lines, *filter(None, [plan.card_diff() if plan.published_card else new])]

    # The commit.

    def _settle(self, state: State, plan: PublishPlan) -> Published:
        """Bring the branch to hold the folder, or propose that; what is there already is not done again."""
        start, patience, uploads = state.head, Patience(), 0
        landed = self._landed(start) if self.options.create_pr else None
        while landed is None:
            if plan.is_done:
                return Published(self.repository.url, state.head, None, False)
            outcome, uploading = self._attempt(plan, state)
            if isinstance(outcome, Published):
                self._verify(plan, outcome)
                return self._seen_proposal(outcome) if self.options.create_pr else outcome
            uploads += uploading
            if uploading and uploads >= UPLOADS and outcome.cause is Cause.LOST:
                raise KitError(outcome.line)
            given_up = None
            try:
                patience.pause(outcome)
            except KitError as error:
                if uploading and outcome.cause is Cause.FINAL:
                    raise
                given_up = error
            # A commit was asked for: whatever the answer said, only looking tells whether it was made.
            say(f"{outcome.line}: looking what is there")
            try:
                state = self._read_again()
                landed = self._landed(start)
            except KitError as error:
                if uploading:
                    raise
                raise KitError(
                    f"{outcome.line}, then {error}; whether it was published is not known: run the same command again"
                ) from error
            if landed is None:
                plan = self._plan(state)
                if given_up is not None and not plan.is_done:
                    raise given_up
        return landed

    def _attempt(self, plan: PublishPlan, state: State) -> tuple[Published | Failure, bool]:
        """Upload and commit once; the second value tells whether it was the upload that failed."""
        uploading, proposing = True, self.options.create_pr
        try:
            additions = self.repository.upload(plan.changed(), proposing)
            uploading = False
            made = self.repository.commit(
                additions, plan.deletions, self._message(), self._description(), state.head, proposing
            )
        except failure_errors() as error:
            return failure_of(error, self.repository.url), uploading
        if not COMMIT_ID.fullmatch(str(made.oid)):
            return Failure(Cause.LOST, f"{self.repository.url}: an answer without a commit"), False
        return Published(without_login(made.pr_url or self.repository.url), made.oid, None, True), False

    def _message(self) -> str:
        return f"Publish {self.staged.kind}" + (f" (kit {self.staged.version})" if self.staged.version else "")

    def _description(self) -> str:
        return f"publish-id: {self.staged.publish_id}"

    def _landed(self, start: str) -> Published | None:
        """Our own commit, made although its answer was lost, and whatever was committed on top of it."""
        if self.options.create_pr:
            urls = self.repository.proposals(self.staged.publish_id)
            for other in urls[1:]:
                say(f"{other}: proposes the same as {urls[0]}: close it")
            return Published(urls[0], None, None, True) if urls else None
        for commit, message in self.repository.commits_since(start):
            if self._description() in message:
                return Published(self.repository.url, commit, None, True)
        return None

    def _verify(self, plan: PublishPlan, published: Published) -> None:
        """See with our own eyes that the commit holds the folder; a list that lacks some of it may be an old one."""
        patience = Patience()
        while True:
            try:
                tree = self.repository.tree(str(published.commit), fresh=True)
            except KitError as error:
                raise KitError(
                    f"published as commit {published.commit}, but not seen there afterwards: {error}; run it again"
                ) from error
            wrong = [path for path, content in plan.content.items() if not holds(tree, path, content)]
            wrong += [path for path in plan.deletions if path in tree]
            if not wrong:
                return
            line = (
                f"{published.url}: commit {published.commit} was made, but it does not hold what was sent "
                f"({', '.join(wrong[:3])}): do not use it, and run the same command again"
            )
            patience.pause(Failure(Cause.LOST, line))

    def _seen_proposal(self, published: Published) -> Published:
        """See that the pull request is there, and only once."""
        patience = Patience()
        while (seen := self._landed("")) is None:
            patience.pause(Failure(Cause.LOST, f"{published.url}: was opened, and is not there; run it again"))
        return replace(published, url=seen.url)

    # Afterwards.

    def untagged_commit(self) -> str | None:
        """The commit of the branch that holds this folder and lost its tag; `None` where there is none."""
        commit = self.repository.commit_of(self._description())
        if commit is None or published_id(self.repository, commit) != self.staged.publish_id:
            return None
        tree = self.repository.tree(commit)
        files = ((path, content) for path, content in self.staged.files.items() if path != CARD)
        return commit if all(holds(tree, path, content) for path, content in files) else None

    def tag(self, commit: str) -> None:
        """Tag the commit, and see it; a tag that is there already has to stand on this very folder."""

        def tag() -> None:
            if self.tagged_commit() is None:
                self.repository.create_tag(str(self.options.tag), commit)
                if self.tagged_commit() is None:
                    raise NotSeen(f"tag {self.options.tag!r} was set, and is not there")

        patiently(tag, self.repository.url, fresh=True)

    def _report(self, published: Published, state: State) -> Published:
        word = "published" if published.changed else "up to date"
        public = self.options.public or not state.private
        tag = f", tag {published.tag}" if published.tag else ""
        say(f"{published.url}: {word}, commit {published.commit}{tag}, {'public' if public else 'private'}")
        return published
