"""PostgreSQL's table locks by strength, what each keeps out, and which ALTER TABLE takes."""

from __future__ import annotations

from enum import IntEnum

from postgast import pg_query_pb2 as pb


class Mode(IntEnum):
    """A lock mode; the numbers are the server's own and rise with strength."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def blocks(self) -> str:
        """Which clients wait for it."""
        if self >= Mode.ACCESS_EXCLUSIVE:
            return "reads and writes"
        return "writes" if self >= Mode.SHARE else "no client, only other schema changes and VACUUM"


_MILD = frozenset(
    {
        pb.AT_SetStatistics,
        pb.AT_ClusterOn,
        pb.AT_DropCluster,
        pb.AT_SetOptions,
        pb.AT_ResetOptions,
        pb.AT_ValidateConstraint,
        pb.AT_SetRelOptions,
        pb.AT_ResetRelOptions,
        pb.AT_ReplaceRelOptions,
        pb.AT_AttachPartition,
        pb.AT_DetachPartitionFinalize,
    }
)
_TRIGGERS = frozenset(
    {
        pb.AT_EnableTrig,
        pb.AT_EnableAlwaysTrig,
        pb.AT_EnableReplicaTrig,
        pb.AT_EnableTrigAll,
        pb.AT_EnableTrigUser,
        pb.AT_DisableTrig,
        pb.AT_DisableTrigAll,
        pb.AT_DisableTrigUser,
    }
)


def of_command(command: pb.AlterTableCmd, version: int) -> Mode:
    """The lock that one command of ALTER TABLE takes on its table."""
    subtype = command.subtype
    if subtype in _TRIGGERS:
        return Mode.SHARE_ROW_EXCLUSIVE
    if subtype == pb.AT_AttachPartition:
        return Mode.SHARE_UPDATE_EXCLUSIVE if version >= 12 else Mode.ACCESS_EXCLUSIVE
    if subtype in _MILD:
        return Mode.SHARE_UPDATE_EXCLUSIVE
    definition = getattr(command, "def")
    if subtype == pb.AT_DetachPartition and definition.partition_cmd.concurrent:
        return Mode.SHARE_UPDATE_EXCLUSIVE
    if subtype == pb.AT_AddConstraint and definition.constraint.contype == pb.CONSTR_FOREIGN:
        return Mode.SHARE_ROW_EXCLUSIVE
    return Mode.ACCESS_EXCLUSIVE
