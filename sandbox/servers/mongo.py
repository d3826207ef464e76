"""The embedded MongoDB: a replica set of one member, or of three to test failover."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from sandbox import environment
from sandbox.processes import Command, Pause, Process, stop_all, wait_until
from sandbox.servers.binaries import Binary
from sandbox.servers.ports import HOST, ReservedPort, is_open

_REPLICA_SET = "rs0"
_OPTIONS = f"replicaSet={_REPLICA_SET}&w=majority&journal=true&retryWrites=true"
_ALREADY_INITIALIZED = 23
_QUICK_FAILOVER = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}


class MongoMember(Process):
    """One mongod of a replica set. It keeps its port over restarts: a set identifies its members by address."""

    def __init__(self, *, name: str, binary: Binary, folder: Path, log: Path, ttl_sweep_s: int) -> None:
        folder.mkdir(parents=True)
        self._port = ReservedPort()
        super().__init__(
            name=name,
            command=Command(
                arguments=[
                    str(binary.path),
                    *_options(folder, port=self._port.number, ttl_sweep_s=ttl_sweep_s),
                ],
                environment={**environment.inherited(), **binary.environment},
                folder=folder,
            ),
            log=log,
            ready=lambda _: is_open(self._port.number),
        )

    @property
    def address(self) -> str:
        """Host and port, as in the configuration of the set."""
        return f"{HOST}:{self._port.number}"

    @property
    def is_primary(self) -> bool:
        """Whether it accepts writes now; False when it does not answer."""
        try:
            return is_open(self._port.number) and bool(self.ask({"hello": 1})["isWritablePrimary"])
        except PyMongoError:
            return False

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Run an admin command on this member, bypassing server selection. Raises PyMongoError."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            f"mongodb://{self.address}/?directConnection=true",
            serverSelectionTimeoutMS=1000,
            socketTimeoutMS=10_000,
        )
        with client:
            answer: dict[str, Any] = client.admin.command(command)
            return answer


class MongoServer:
    """A replica set whose acknowledged writes survive kill -9, and with three members the loss of one."""

    def __init__(self, *, binary: Binary, folder: Path, logs: Path, members: int = 1, ttl_sweep_s: int = 60) -> None:
        names = ["mongod"] if members == 1 else [f"mongod-{number}" for number in range(members)]
        self.members = tuple(
            MongoMember(
                name=name,
                binary=binary,
                folder=folder / name,
                log=logs / f"{name}.log",
                ttl_sweep_s=ttl_sweep_s,
            )
            for name in names
        )

    @property
    def uri(self) -> str:
        """The URI of the set; a write is acknowledged when it is in the journal of the majority."""
        return f"mongodb://{','.join(member.address for member in self.members)}/?{_OPTIONS}"

    @property
    def pid(self) -> int:
        """Process id of the first member."""
        return self.members[0].pid

    @property
    def primary(self) -> MongoMember:
        """The member that accepts writes now. Raises LookupError while there is none."""
        for member in self.members:
            if member.is_primary:
                return member
        raise LookupError("the replica set has no primary now")

    def start(self) -> Self:
        """Start all members and return at once."""
        for member in self.members:
            member.start()
        return self

    def wait_ready(self, *, timeout_s: float = 300, pause: Pause = time.sleep) -> Self:
        """Wait until the set accepts writes; initiate it the first time. Raises ProcessFailedError."""
        for member in self.members:
            member.wait_ready(timeout_s=timeout_s, pause=pause)
        wait_until(self._is_set_up, watched=self.members, timeout_s=timeout_s, pause=pause)
        wait_until(self._takes_writes, watched=self.members, timeout_s=timeout_s, pause=pause)
        return self

    def check(self) -> None:
        """Raise ProcessFailedError if a member has exited without being stopped or killed."""
        for member in self.members:
            member.check()

    def stop(self, *, grace_s: float = 15) -> None:
        """Stop all members within `grace_s` seconds. Idempotent."""
        stop_all(self.members, grace_s=grace_s)

    def kill(self) -> None:
        """Kill all members, as a power cut would."""
        for member in self.members:
            member.kill()

    def restart(self, *, timeout_s: float = 300, pause: Pause = time.sleep) -> Self:
        """Restart all members on the same ports and data, and wait until the set accepts writes."""
        self.stop()
        return self.start().wait_ready(timeout_s=timeout_s, pause=pause)

    def _takes_writes(self) -> bool:
        return any(member.is_primary for member in self.members)

    def _is_set_up(self) -> bool:
        """Initiate the set, unless it is initiated already; False while the first member does not answer."""
        members = [{"_id": number, "host": member.address} for number, member in enumerate(self.members)]
        configuration = {"_id": _REPLICA_SET, "members": members, "settings": _QUICK_FAILOVER}
        try:
            self.members[0].ask({"replSetInitiate": configuration})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        except PyMongoError:
            return False
        return True


def _options(folder: Path, *, port: int, ttl_sweep_s: int) -> list[str]:
    return [
        *("--dbpath", str(folder), "--replSet", _REPLICA_SET, "--oplogSize", "128"),
        *("--bind_ip", HOST, "--port", str(port), "--nounixsocket"),
        *("--wiredTigerCacheSizeGB", "0.25"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        *("--setParameter", f"ttlMonitorSleepSecs={ttl_sweep_s}"),
    ]
