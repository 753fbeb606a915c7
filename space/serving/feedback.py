"""Keeps what visitors say of an expansion in a private dataset on the Hub, where the owner of a Space asks for it."""

import json
import os
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from builders.errors import KitError


# The dataset, OWNER/NAME; without it nobody is asked.
SWITCH = "QUERY_EXPANSION_KIT_FEEDBACK"
VOTES = ("better", "same", "worse")
MINUTES = 5
CONSENT = (
    "Better, same and worse send your choice with the query and the words to a private dataset of this page's owner: "
    "no name, no address."
)


class Feedback:
    """A file of votes, sent to the Hub every five minutes.

    Args:
        repo_id (`str`):
            The dataset, `OWNER/NAME`; made where there is none.

    Raises:
        KitError: it cannot be written, or it is public.
    """

    def __init__(self, repo_id: str) -> None:
        from huggingface_hub import CommitScheduler
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
        from huggingface_hub.utils import httpx

        self._file = Path(tempfile.mkdtemp()) / f"{uuid.uuid4()}.jsonl"
        try:
            self.scheduler = CommitScheduler(
                repo_id=repo_id, repo_type="dataset", private=True, folder_path=self._file.parent, every=MINUTES
            )
            told = self.scheduler.api.dataset_info(self.scheduler.repo_id)
        except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, httpx.HTTPError, OSError) as error:
            said = " ".join(str(error).split())[:200]
            raise KitError(f"{SWITCH}={repo_id}: no dataset that this token may write ({said})") from error
        if not told.private:
            self.scheduler.stop()
            raise KitError(f"{SWITCH}={repo_id}: a public dataset; make it private, or name another")

    def add(self, vote: Mapping[str, str]) -> None:
        """Keep one vote, with the day."""
        line = json.dumps({**vote, "day": f"{datetime.now(UTC):%Y-%m-%d}"}, ensure_ascii=False)
        with self.scheduler.lock, self._file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def feedback_asked() -> Feedback | None:
    """Where votes go; `None` where the owner asks for none.

    Raises:
        KitError: see [`Feedback`].
    """
    repo_id = os.environ.get(SWITCH)
    return Feedback(repo_id) if repo_id else None
