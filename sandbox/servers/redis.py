"""The embedded Redis: password, append-only file, and the same port after a restart."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path

from sandbox import environment
from sandbox.processes import Command, Process
from sandbox.servers.binaries import Binary
from sandbox.servers.ports import HOST, ReservedPort

_ANSWER_S = 0.5


class RedisServer(Process):
    """A Redis with an append-only file that is synced every second; it evicts nothing."""

    def __init__(self, *, binary: Binary, folder: Path, log: Path) -> None:
        folder.mkdir(parents=True)
        self._port = ReservedPort()
        self._password = secrets.token_hex(16)
        super().__init__(
            name="redis",
            command=Command(
                arguments=[str(binary.path), str(self._write_configuration(folder))],
                environment={**environment.inherited(), **binary.environment},
                folder=folder,
            ),
            log=log,
            ready=lambda _: self._answers(),
        )

    @property
    def url(self) -> str:
        """The URL with the password, database 0."""
        return f"redis://:{self._password}@{HOST}:{self._port.number}/0"

    def _write_configuration(self, folder: Path) -> Path:
        """Write the settings to a file: command lines, and a password in them, are visible to all users."""
        file = folder / "redis.conf"
        file.touch(mode=0o600)
        file.write_text(
            f"bind {HOST}\nport {self._port.number}\nrequirepass {self._password}\n"
            'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
        )
        return file

    def _answers(self) -> bool:
        address = (HOST, self._port.number)
        with suppress(OSError), socket.create_connection(address, timeout=_ANSWER_S) as connection:
            connection.sendall(f"AUTH {self._password}\r\nPING\r\nQUIT\r\n".encode())
            with connection.makefile("rb") as answer:
                return b"+PONG" in answer.read()
        return False
