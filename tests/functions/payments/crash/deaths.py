"""Deaths, one after another, in one world."""

from __future__ import annotations

from tests.functions.payments.crash.operations import Operation
from tests.functions.payments.crash.points import Way
from tests.functions.payments.crash.world import World


async def die(world: World, operation: Operation, deaths: list[tuple[int, Way]]) -> None:
    """Have the operation die at these points, in these ways, and recover from each."""
    for point, way in deaths:
        try:
            trial = operation.new_trial(world, await world.newcomer())
            await trial.prepare()
            ended = await world.doom(trial.request, point, way)
            if way is Way.LOST:
                assert ended.status == 0
                assert ended.reply is not None, "it lives, and answers"
                assert tuple(ended.labels[: point + 1]) == operation.labels[: point + 1]
            else:
                assert ended.was_killed
                assert ended.reply is None
                # Of two calls that are under way at once, the other may have been told of.
                assert tuple(ended.labels) == operation.labels[: len(ended.labels)]
                assert point < len(ended.labels) <= point + 2
            await trial.finish(ended)
        except BaseException as error:
            error.add_note(f"{way} at point {point}: {operation.labels[point]}")
            raise
