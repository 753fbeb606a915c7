"""Sends many requests to one chat server at once, and retries each until it is answered or hopeless."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from builders.errors import KitError
from builders.expanders.expander import Expansion, Request, Sampling
from builders.expanders.server.budget import Budget, Usage
from builders.expanders.server.chat_answer import read_answer
from builders.expanders.server.inference_options import InferenceOptions
from builders.expanders.server.retry import Failure, backoff, failure_of
from builders.masking import MASK, credentials, masked_text


# A chat template adds tokens of its own: a turn's marks, and what some models are told first.
TOKENS_PER_TURN, TOKENS_PER_PROMPT = 16, 256
# Who is asked to wait longer had better come back later.
LONGEST_PAUSE = 600.0
NOTICE_EVERY = 15.0
# Two names of one field.
MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
# So many first answers without a word are no accident.
SURELY_EATEN = 8

logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """Another worker met a failure that ends them all."""


class ChatSession:
    """What the workers of one run share: the client, the budget, the pause that the server asked for, the end.

    Args:
        complete (`Callable`):
            `AsyncInferenceClient.chat_completion`, or its like.
        options ([`InferenceOptions`]):
            How to ask, and how often.
        sampling ([`Sampling`]):
            How the model chooses its words.
        budget ([`Budget`]):
            What may be spent.
        secret (`str`, *optional*):
            The token, which no message may repeat; nor what the further fields of the requests hold of the kind.
    """

    def __init__(
        self,
        complete: Callable[..., Awaitable[Any]],
        options: InferenceOptions,
        sampling: Sampling,
        budget: Budget,
        secret: str | None,
    ) -> None:
        self._complete, self._options, self._sampling = complete, options, sampling
        self._budget = budget
        self._secrets = [text for text in (secret, *credentials(options.body())) if text]
        self._max_tokens = self._longest = sampling.max_new_tokens + options.reasoning_tokens
        self._prompt_surplus = 0
        self._body = {**({"top_k": sampling.top_k} if sampling.top_k else {}), **options.body()}
        self._stopping, self._settled = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._resume_at = self._noticed_at = 0.0
        self._limit, self._wrote, self.eaten = MAX_TOKENS, False, 0

    def stop(self) -> None:
        """Let requests in flight end, and begin no other."""
        self._stopping.set()
        self._settled.set()

    async def answer(self, request: Request) -> Expansion:
        """Ask until there is an answer.

        Raises:
            KitError: it is hopeless, or the budget is spent.
            StoppedError: [`stop`] was called meanwhile.
        """
        empty = failures = 0
        while True:
            limit = self._limit
            try:
                expansion = await self._ask(request, empty)
            except Exception as error:
                failure = self._failure(error)
                if failure is None:
                    raise
                if limit == MAX_TOKENS and MAX_COMPLETION_TOKENS in failure.reason:
                    self._limit = MAX_COMPLETION_TOKENS  # What OpenAI's reasoning models call it.
                    continue
                failures += 1
                if not failure.again:
                    raise KitError(failure.reason) from None
                if failures > self._options.max_retries:
                    raise KitError(f"given up after {failures} attempts: {failure.reason}") from None
                await self._pause(failure.wait, backoff(failures), failure.reason)
                continue
            if expansion.text or empty == self._options.empty_retries:
                self._look_at(expansion)
                return expansion
            empty += 1

    def _look_at(self, expansion: Expansion) -> None:
        """Notice a model that thinks until the token limit and writes nothing.

        Raises:
            KitError: so it has done from the first answer on.
        """
        if expansion.text or expansion.finish_reason != "length":
            self._wrote = True
            return
        self.eaten += 1
        self._notice(f"an answer is empty: {self._thought()}")
        if self.eaten == SURELY_EATEN:
            self.check_eaten()

    def check_eaten(self) -> None:
        """Refuse a run without an answer that is more than thoughts.

        Raises:
            KitError: there is none.
        """
        if self.eaten and not self._wrote:
            raise KitError(f"all {self.eaten} answers are empty: {self._thought()}")

    def _thought(self) -> str:
        given = self._options.reasoning_tokens
        limit = f"the limit of {self._max_tokens} tokens"
        return f"the model thought until {limit}; give more --reasoning_tokens (now {given})"

    async def _ask(self, request: Request, attempt: int) -> Expansion:
        """One attempt, counted in the budget whatever becomes of it."""
        await self._turn()
        prompt = "\n".join(message["content"] for message in request.messages)
        bound = Usage(self._prompt_bound(request), self._longest)
        name = await self._reserve(bound)
        used: Usage | None = None
        try:
            async with asyncio.timeout(self._options.request_timeout):
                named = self._limit == MAX_TOKENS
                completion = await self._complete(
                    list(request.messages),
                    max_tokens=self._max_tokens if named else None,
                    temperature=self._sampling.temperature,
                    top_p=self._sampling.top_p if self._sampling.top_p < 1 else None,
                    seed=_seed(self._sampling.seed, request.key, attempt) if self._options.send_seed else None,
                    extra_body=self._body if named else {**self._body, self._limit: self._max_tokens},
                )
            answer = read_answer(completion, prompt, self._sampling.max_new_tokens, self._max_tokens)
            used = answer.usage or Usage(bound.prompt_tokens, max(bound.completion_tokens, answer.written_tokens))
            self._learn(bound, used)
            return answer.expansion
        except Exception as error:
            failure = self._failure(error)
            used = Usage() if failure is not None and failure.unpaid else None
            raise
        finally:
            self._budget.settle(name, used)
            self._settled.set()

    def _prompt_bound(self, request: Request) -> int:
        """No byte-level tokenizer makes more tokens of a text than it has bytes."""
        told = sum(len(message["content"].encode()) + TOKENS_PER_TURN for message in request.messages)
        return told + TOKENS_PER_PROMPT + self._prompt_surplus

    def _learn(self, bound: Usage, used: Usage) -> None:
        """A bound that did not hold once is not trusted again."""
        self._prompt_surplus += max(used.prompt_tokens - bound.prompt_tokens, 0)
        if used.completion_tokens > self._longest:
            self._longest = used.completion_tokens
            logger.warning(
                f"an answer took {self._longest} tokens where {self._max_tokens} were asked for; it was cut"
            )

    def _failure(self, error: Exception) -> Failure | None:
        failure = failure_of(error)
        if failure is None:
            return None
        reason = failure.reason
        for secret in self._secrets:
            reason = reason.replace(secret, MASK)
        return replace(failure, reason=masked_text(reason))

    async def _reserve(self, bound: Usage) -> str:
        while not self._budget.fits(bound):
            if not self._budget.in_flight:
                spent = self._budget.prices.bill(self._budget.spent)
                raise KitError(
                    f"the next request might exceed the budget (spent: {spent}): raise --budget_usd or --budget_tokens"
                )
            self._settled.clear()
            await self._settled.wait()
            await self._turn()
        return self._budget.reserve(bound)

    async def _turn(self) -> None:
        """Wait until the pause that the server asked for is over."""
        while not self._stopping.is_set() and (wait := self._resume_at - self._loop.time()) > 0:
            await self._sleep(wait)
        if self._stopping.is_set():
            raise StoppedError

    async def _pause(self, asked: float | None, otherwise: float, reason: str) -> None:
        if asked is not None and asked > LONGEST_PAUSE:
            raise KitError(f"the server asks to wait {asked:.0f} s ({reason}): come back then")
        wait = otherwise if asked is None else asked + otherwise
        if asked is not None:  # The server means everybody, not only the worker that it told.
            self._resume_at = max(self._resume_at, self._loop.time() + asked)
        self._notice(f"{reason}: trying again in {wait:.0f} s")
        await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _notice(self, message: str) -> None:
        if self._loop.time() >= self._noticed_at:
            self._noticed_at = self._loop.time() + NOTICE_EVERY
            logger.warning(message)


def _seed(seed: int, key: str, attempt: int) -> int:
    """31 bits, which every server takes, of the run's seed, the request and the attempt after empty answers."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}\n{attempt}".encode()).digest()[:4], "big") >> 1
