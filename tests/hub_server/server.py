"""The server: what tests start, look at and break."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from . import (
    lfs,
    routes_collections,
    routes_commit,
    routes_discussions,
    routes_files,
    routes_repos,
    routes_spaces,
    routes_tree,
    xet,
)
from .auth import Accounts
from .faults import Fault, Faults
from .handler import Listener, LogEntry
from .messages import Request
from .storage import Store
from .view import RepoView


# Routes register themselves when their module is imported.
ROUTES = (
    routes_repos,
    routes_tree,
    routes_commit,
    routes_files,
    routes_discussions,
    routes_collections,
    routes_spaces,
)
STORAGE_ROUTES = (lfs, xet)
OWNER, STRANGER, ORGANISATION, WATCHED = "kit-owner", "kit-stranger", "kit-org", "kit-watched"


class HubServer:
    """A Hub on a port of this machine.

        with HubServer() as hub:
            run_a_client(env={"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.owner_token})
            assert hub.repo("dataset", f"{hub.owner}/name").tree()
            hub.assert_clean()

    `owner` may write in their own namespace and in `organisation`, and may only read in `watched`. With a folder the
    state is kept there and found again. `page_size` makes all lists come in small pages; objects larger than
    `chunk_size` are uploaded in parts.
    """

    owner, stranger, organisation, watched = OWNER, STRANGER, ORGANISATION, WATCHED

    def __init__(self, folder: str | Path | None = None, port: int = 0) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="hub-server-") if folder is None else folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.folder)
        self.xet = xet.Xet(self.folder / "xet")
        self.accounts = Accounts(self.store)
        if not self.accounts.users:
            self.accounts.add_user(OWNER, **{ORGANISATION: "admin", WATCHED: "read"})
            self.accounts.add_user(STRANGER)
        self.owner_token = self.accounts.token(OWNER, "write")
        self.read_token = self.accounts.token(OWNER, "read")
        self.stranger_token = self.accounts.token(STRANGER, "write")
        self.page_size: int | None = None
        self.chunk_size = 8 * 1024 * 1024
        self.uploads: dict[str, lfs.Upload] = {}
        self.faults = Faults()
        self.log: list[LogEntry] = []
        self.unrouted: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self._listener = Listener(("127.0.0.1", port), self)
        self.port: int = self._listener.server_address[1]
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The value of HF_ENDPOINT."""
        return f"http://{self.address}"

    def start(self) -> HubServer:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; a folder that the server made is removed."""
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.server_close()
        self._listener.cut_connections()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> HubServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def fault(
        self,
        method: str,
        path: str,
        times: int = 1,
        skip: int = 0,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | dict[str, Any] | None = None,
        delay: float = 0.0,
        drop: str | None = None,
        hook: Callable[[Request], object] | None = None,
        applied: bool = False,
    ) -> Fault:
        """Plant a fault: see `Fault`. `path` is a regular expression searched in the raw path with its query."""
        fault = Fault(method, path, times, skip, status, headers or {}, body, delay, drop, hook, applied)
        return self.faults.plant(fault)

    def repo(self, type: str, id: str) -> RepoView:
        """A repository, to look at or to change behind the clients' backs."""
        return RepoView(self.store, type, id)

    def create_repo(self, type: str, id: str, private: bool = False, sdk: str | None = None) -> RepoView:
        """Make a repository without HTTP."""
        with self.store.lock:
            self.store.create(type, id, OWNER, private, sdk)
        return self.repo(type, id)

    def requests(self, method: str = "*", path: str = "") -> list[LogEntry]:
        """Logged requests of a method whose path contains a text."""
        return [entry for entry in list(self.log) if method in {"*", entry.method} and path in entry.path]

    def assert_clean(self) -> None:
        """Fail when a client asked for something that the server does not know, or the server itself failed."""
        assert not self.errors, self.errors[0]
        assert not self.unrouted, f"requests without a route: {self.unrouted}"
