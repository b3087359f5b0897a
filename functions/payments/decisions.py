"""Refusals that are recorded under an idempotency key as successes are: decided in the transaction, and repeated."""

from __future__ import annotations

from typing import Final

from shared.http.problems import CreatorNotFound, InsufficientEarnings, InsufficientTokens, Problem, SelfCharge
from shared.postgres.idempotency import Answer

RECORDED: Final = (InsufficientTokens, InsufficientEarnings, CreatorNotFound, SelfCharge)

_BY_CODE: Final[dict[str, type[Problem]]] = {kind.code: kind for kind in RECORDED}


def refusal(problem: Problem) -> Answer:
    return Answer(problem.status, problem.code)


def raise_if_refused(answer: Answer) -> None:
    """Raise the problem that was recorded, if it was one."""
    if answer.status in {kind.status for kind in RECORDED}:
        raise _BY_CODE[answer.body]
