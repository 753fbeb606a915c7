"""The publisher: a rendered folder goes to the Hub in one commit, whole or not at all.

Check, one commit on top of the head that was read, tag, and only then public. A lost answer is no failure: the head is
read again, and what is there decides. The same command run again finishes what was interrupted.
"""

from dataclasses import dataclass, replace

from builders.cli import say
from builders.errors import KitError
from builders.publishing.failure import Cause, Failure, failure_errors, failure_of, pause
from builders.publishing.plan import Plan, make_plan, published_id, same
from builders.publishing.repository import Repository, State
from builders.publishing.staging.staged import Rendered


# The client itself tries six times to upload; when it gives up on a failing server, once more is enough.
UPLOADS = 2


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


@dataclass(frozen=True)
class Wishes:
    """How to publish.

    Args:
        tag (`str`, *optional*):
            Tag of the commit; a tag that stands elsewhere is never moved.
        public (`bool`):
            Let everybody see the repository when all is done. A new repository is private otherwise.
        revision (`str`, *optional*):
            Branch, made from main if it is not there; main by default.
        create_pr (`bool`):
            Propose the commit instead.
        dry_run (`bool`):
            Only tell what would be done.
        allow_shrink (`bool`):
            Let a dataset lose more than half of its rows.
    """

    tag: str | None = None
    public: bool = False
    revision: str | None = None
    create_pr: bool = False
    dry_run: bool = False
    allow_shrink: bool = False


class Publisher:
    """One publish of one folder into one repository."""

    def __init__(self, rendered: Rendered, repository: Repository, wishes: Wishes) -> None:
        self.rendered, self.repository, self.wishes = rendered, repository, wishes

    def publish(self) -> Published:
        """Publish, or only tell.

        Raises:
            KitError: see `publish_folder`.
        """
        state = self.repository.read()
        if state is None:
            self._refuse_namesake()
        plan = self._plan(state)
        tagged = state is not None and self._is_tagged()
        self._check_card(plan)
        if self.wishes.dry_run:
            self._tell(plan, state)
            return Published(self.repository.url, None, None, False)
        if state is None:
            self.repository.create()
            state = self._read_again()
            plan = self._plan(state)
        if not state.branch_exists and not self.wishes.create_pr:
            self.repository.create_branch(state.head)
            state = self._read_again()
            plan = self._plan(state)
        published = self._settle(state, plan)
        if self.wishes.create_pr:
            say(
                f"{published.url}: proposed"
                if published.url != self.repository.url
                else f"{published.url}: up to date"
            )
            return published
        try:
            if self.wishes.tag and not tagged:
                self._tag(str(published.commit))
            if self.wishes.public and state.private:
                self.repository.make_public()
        except KitError as error:
            raise KitError(
                f"published as commit {published.commit}, but not all is done: {error}; run it again"
            ) from error
        return self._report(replace(published, tag=self.wishes.tag), state)

    def _plan(self, state: State | None) -> Plan:
        return make_plan(self.rendered, self.repository, state, self.wishes.allow_shrink)

    def _read_again(self) -> State:
        state = self.repository.read()
        if state is None:
            raise KitError(f"{self.repository.url}: was deleted meanwhile; run the same command to make it anew")
        return state

    # What keeps a folder from being published, found before anything is changed.

    def _refuse_namesake(self) -> None:
        other = self.repository.type_of_namesake()
        if other is not None:
            raise KitError(
                f"{self.repository.id} is a {other} on the Hub, and {self.rendered.folder} is a "
                f"{self.repository.type}: choose another --repo_id"
            )

    def _check_card(self, plan: Plan) -> None:
        errors = self.repository.card_errors(plan.card)
        if errors:
            raise KitError(f"{self.rendered.folder}/README.md: the Hub refuses the card: {'; '.join(errors)}")

    def _is_tagged(self) -> bool:
        """Whether the tag is set already, on a commit that holds this very folder."""
        target = self.repository.tags().get(self.wishes.tag) if self.wishes.tag else None
        if target is None:
            return False
        if published_id(self.repository, target) != self.rendered.publish_id:
            raise KitError(
                f"{self.repository.url}: tag {self.wishes.tag!r} stands on another version ({target[:12]}), and tags "
                "are never moved: give another --tag"
            )
        return True

    # The commit.

    def _settle(self, state: State, plan: Plan) -> Published:
        """Bring the branch to hold the folder, or propose that; what is there already is not done again."""
        start, failures, uploads = state.head, 0, 0
        landed = self._landed(start) if self.wishes.create_pr else None
        while landed is None:
            if plan.is_done:
                return Published(self.repository.url, state.head, None, False)
            outcome, uploading = self._attempt(plan, state)
            if isinstance(outcome, Published):
                self._verify(plan, outcome)
                return outcome
            failures += 1
            uploads += uploading
            if uploading and uploads >= UPLOADS and outcome.cause is Cause.LOST:
                raise KitError(outcome.line)
            given_up = None
            try:
                pause(outcome, failures)
            except KitError as error:
                if outcome.cause is Cause.FINAL:
                    raise
                given_up = error
            say(f"{outcome.line}: looking what is there")
            try:
                state = self._read_again()
                landed = self._landed(start)
            except KitError as error:
                if outcome.cause is Cause.LOST:
                    raise KitError(
                        f"{error}; whether it was published is not known: run the same command again"
                    ) from error
                raise
            if landed is None:
                plan = self._plan(state)
                if given_up is not None and not plan.is_done:
                    raise given_up
        return landed

    def _attempt(self, plan: Plan, state: State) -> tuple[Published | Failure, bool]:
        """Upload and commit once; the second value tells whether it was the upload that failed."""
        uploading, proposing = True, self.wishes.create_pr
        try:
            additions = self.repository.upload(plan.changed(), proposing)
            uploading = False
            made = self.repository.commit(
                additions, plan.deletions, self._message(), self._description(), state.head, proposing
            )
        except failure_errors() as error:
            return failure_of(error, self.repository.url), uploading
        return Published(made.pr_url or self.repository.url, made.oid, None, True), False

    def _message(self) -> str:
        return f"Publish {self.rendered.kind}" + (f" (kit {self.rendered.version})" if self.rendered.version else "")

    def _description(self) -> str:
        return f"publish-id: {self.rendered.publish_id}"

    def _landed(self, start: str) -> Published | None:
        """Our own commit, made although its answer was lost, and whatever was committed on top of it."""
        if self.wishes.create_pr:
            url = self.repository.proposal(self.rendered.publish_id)
            return Published(url, None, None, True) if url else None
        for commit, message in self.repository.commits_since(start):
            if self._description() in message:
                return Published(self.repository.url, commit, None, True)
        return None

    def _verify(self, plan: Plan, published: Published) -> None:
        """See with our own eyes that the commit holds the folder."""
        tree = self.repository.tree(str(published.commit))
        wrong = [path for path, content in plan.content.items() if not same(content, tree.get(path))]
        wrong += [path for path in plan.deletions if path in tree]
        if wrong:
            raise KitError(
                f"{published.url}: commit {published.commit} was made, but it does not hold what was sent "
                f"({', '.join(wrong[:3])}): do not use it, and run the same command again"
            )

    # Afterwards.

    def _tag(self, commit: str) -> None:
        """Tag the commit; a tag that is there already has to stand on this very folder."""
        failures = 0
        while not self._is_tagged():
            try:
                self.repository.create_tag(str(self.wishes.tag), commit)
                return
            except failure_errors() as error:
                failures += 1
                pause(failure_of(error, self.repository.url), failures)

    def _tell(self, plan: Plan, state: State | None) -> None:
        fate = "there" if state is not None else "new, private" if not self.wishes.public else "new"
        say(f"{self.repository.url} ({self.repository.type}, {fate}); nothing is changed by this dry run")
        for line in plan.lines():
            say(line)
        for name in self.rendered.left_out:
            say(f"  leave                 {name}")
        if plan.card_diff():
            say(plan.card_diff())

    def _report(self, published: Published, state: State) -> Published:
        word = "published" if published.changed else "up to date"
        public = self.wishes.public or not state.private
        tag = f", tag {published.tag}" if published.tag else ""
        say(f"{published.url}: {word}, commit {published.commit}{tag}, {'public' if public else 'private'}")
        return published
