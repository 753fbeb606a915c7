"""Expands by asking Hub Inference Providers or an OpenAI-compatible server."""

import asyncio
import functools
import queue
import threading
from collections.abc import Collection, Generator, Sequence
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.expanders.expander import Expander, ExpanderInputs, Expansion, Identity, Request, Sampling
from builders.expanders.server.budget import Budget, Prices, Usage
from builders.expanders.server.chat_session import ChatSession, StoppedError
from builders.expanders.server.inference_options import InferenceOptions
from builders.prompts.prompt import Prompt


SERVER = "an OpenAI-compatible server"
LEDGER = "spending.jsonl"


class InferenceExpander(Expander):
    """Asks a chat server, many requests at once.

    Args:
        model (`str`):
            Hub id of the model, or whatever it is known by.
        options ([`InferenceOptions`]):
            Where and how to ask.
        folder (`Path`):
            Where the ledger of the budget lies.
        revision (`str`, *optional*):
            What is known of the model's version; providers do not say.

    Raises:
        KitError: an option makes no sense.
    """

    name = "inference"
    help = "a model behind Inference Providers of the Hub, or any OpenAI-compatible server"
    Options = InferenceOptions
    reads_prompt = True
    separate_samples = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        server = cls(inputs.model, inputs.options, inputs.folder, inputs.model_revision)
        return [(prompt, server) for prompt in inputs.prompts]

    def __init__(self, model: str, options: InferenceOptions, folder: Path, revision: str | None = None) -> None:
        options.check()
        if model.startswith("package:"):
            raise KitError("--expander inference needs --model, the Hub id of the model that the server runs")
        provider = options.provider or ("auto" if options.base_url is None else SERVER)
        self.identity = Identity(model, revision or "unknown", f"as served by {provider}", provider)
        self.settings = {
            "reasoning_tokens": options.reasoning_tokens,
            "extra_body": options.body(),
            "send_seed": options.send_seed,
        }
        self.prices: Prices = Prices(options.price_prompt, options.price_completion)
        self._model = options.served_model or model
        self._options, self._folder = options, folder

    @functools.cached_property
    def budget(self) -> Budget:
        """What was spent and may be spent; opened when the first answer is asked for."""
        options = self._options
        return Budget(self._folder / LEDGER, self.prices, options.budget_tokens, options.budget_usd)

    @property
    def spent(self) -> Usage | None:
        """What the ledger says; see [`Expander.spent`]."""
        return self.budget.spent

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Ask for one answer a request; see [`Expander.expand`].

        A worker begins its next request when its last answer was taken and the one after it is asked for, so that no
        more than `concurrency` answers are ever under way or not yet safe.

        Raises:
            KitError: the server refuses for good, the budget is spent, or there is no token.
        """
        waiting = [request for request in requests if request.key not in done]
        if not waiting:
            return
        if any(request.samples != 1 for request in waiting):
            raise ValueError("one request a sample: see Expander.separate_samples")
        client = self._client(self._options.token())
        ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        run = loop.create_task(self._run(client, waiting, sampling, ready))
        # A loop of its own thread: it works in a notebook too, and waiting for the queue leaves Ctrl-C alone.
        thread = threading.Thread(target=_drive, args=(loop, run, ready), daemon=True)
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                key, expansion, taken = item
                yield key, [expansion]
                loop.call_soon_threadsafe(taken.set)
        finally:
            if thread.is_alive():
                loop.call_soon_threadsafe(run.cancel)
            thread.join()
            loop.close()

    async def _run(
        self, client: Any, waiting: Sequence[Request], sampling: Sampling, ready: queue.SimpleQueue[Any]
    ) -> None:
        """Let the workers go through what is waiting; the first failure ends them, after what is in flight."""
        failures: list[Exception] = []
        pending = iter(waiting)

        async def work() -> None:
            for request in pending:
                try:
                    expansion = await session.answer(request)
                except StoppedError:
                    return
                except Exception as error:
                    failures.append(error)
                    session.stop()
                    return
                taken = asyncio.Event()
                ready.put((request.key, expansion, taken))
                await taken.wait()
                if failures:
                    return

        async with client:
            complete = functools.partial(client.chat_completion, model=self._model)
            session = ChatSession(complete, self._options, sampling, self.budget, client.token)
            await asyncio.gather(*(work() for _ in range(min(self._options.concurrency, len(waiting)))))
        if not failures:
            session.check_eaten()
        if failures and isinstance(failures[0], KitError):
            raise KitError(f"{failures[0]}; answers so far are kept, and the same command goes on from them")
        if failures:
            raise failures[0]

    def _client(self, token: str | None) -> Any:
        import httpx2
        from huggingface_hub import AsyncInferenceClient, constants, set_async_client_factory

        options = self._options
        # The library's own connection refuses every host when the Hub is switched off, one's own servers too.
        set_async_client_factory(lambda: httpx2.AsyncClient(follow_redirects=True))
        if options.base_url is not None:
            # Without a token of its own the server would be sent the Hub's.
            headers: Any = {} if token else {"authorization": None}
            return AsyncInferenceClient(
                base_url=options.base_url, token=token, headers=headers, timeout=options.request_timeout
            )
        if constants.is_offline_mode():
            raise KitError("Inference Providers cannot be asked while the Hub is switched off: unset HF_HUB_OFFLINE")
        provider: Any = options.provider  # A name that the client does not know is its to refuse.
        return AsyncInferenceClient(
            provider=provider, token=token, bill_to=options.bill_to, timeout=options.request_timeout
        )


def _drive(loop: asyncio.AbstractEventLoop, run: asyncio.Task[None], ready: queue.SimpleQueue[Any]) -> None:
    """Run to the end; the last thing in the queue is what went wrong, or `None`."""
    outcome: BaseException | None = None
    try:
        loop.run_until_complete(run)
    except BaseException as error:
        outcome = error
    ready.put(outcome)
