"""What Upstash does not do over REST, and what a read-only token may not do."""

from __future__ import annotations

from typing import Final

from tools.local.rest.link import CommandError, RedisLink

# Over HTTP there is no connection to block, subscribe or select on, and no server to configure.
_UNAVAILABLE: Final = frozenset(
    b"ACL AUTH BGREWRITEAOF BGSAVE BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN CLIENT CLUSTER "
    b"COMMAND CONFIG DEBUG DISCARD EXEC FAILOVER HELLO LATENCY MEMORY MIGRATE MODULE MONITOR MOVE MULTI OBJECT "
    b"PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLICAOF RESET ROLE SAVE SELECT SHUTDOWN SLAVEOF "
    b"SLOWLOG SORT SORT_RO SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC UNSUBSCRIBE UNWATCH WAIT WAITAOF "
    b"WATCH".split()
)

# They may write whatever their flags say; the _RO forms may not.
_WRITING_SCRIPTS: Final = frozenset({b"EVAL", b"EVALSHA", b"FCALL", b"FUNCTION", b"SCRIPT"})


class Refusals:
    """Decides which commands go no further, with the words that Upstash has for it."""

    def __init__(self, writes: frozenset[bytes]) -> None:
        self._writes = writes

    @classmethod
    async def ask(cls, link: RedisLink) -> Refusals:
        """Learn from Redis itself which of its commands write."""
        (commands,) = await link.run([[b"COMMAND"]])
        return cls(frozenset(entry[0].upper() for entry in commands if b"write" in entry[2]))

    def of(self, command: list[bytes], *, read_only: bool) -> CommandError | None:
        """The refusal of this command, or None when it may go on."""
        name = command[0].upper()
        shown = command[0].decode("utf-8", "replace")
        if name in _UNAVAILABLE:
            return CommandError(
                f"ERR Command is not available: '{shown.upper()}'. "
                "See https://upstash.com/docs/redis/overall/rediscompatibility for details"
            )
        if name == b"XREAD" and b"BLOCK" in map(bytes.upper, command):
            return CommandError("ERR Blocking XREAD is not supported over REST")
        if read_only and (name in self._writes or name in _WRITING_SCRIPTS):
            return CommandError(
                f"NOPERM this user has no permissions to run the '{shown.lower()}' command or its subcommand"
            )
        return None
