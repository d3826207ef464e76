"""Connections: who waits longest for its client makes room, who is being answered never."""

from __future__ import annotations

import pytest

from api_shim.operations.http_connections import Admission, Connections
from api_shim.operations.open_files import backlog_within, files_for, room_within


class Connection:
    """One that remembers whether it was closed."""

    is_closed = False

    def close_idle(self) -> None:
        self.is_closed = True


def admitted(connections: Connections, count: int) -> list[Connection]:
    found = [Connection() for _ in range(count)]
    assert {connections.admit(each) for each in found} == {Admission.ORDINARY}
    return found


def test_the_one_that_waits_longest_makes_room() -> None:
    connections = Connections(3)
    first, second, third = admitted(connections, 3)
    connections.work(first)
    connections.wait(first)

    assert connections.admit(Connection()) is Admission.ORDINARY

    assert [each.is_closed for each in (first, second, third)] == [False, True, False]
    assert (connections.open, connections.closed) == (3, {"crowded": 1})


def test_to_say_again_that_one_waits_changes_nothing() -> None:
    connections = Connections(2)
    first, second = admitted(connections, 2)
    connections.wait(first)

    connections.admit(Connection())

    assert (first.is_closed, second.is_closed) == (True, False)


def test_who_is_being_answered_is_not_closed() -> None:
    connections = Connections(2)
    busy = admitted(connections, 2)
    for each in busy:
        connections.work(each)

    assert connections.admit(Connection()) is Admission.RESERVE

    assert [each.is_closed for each in busy] == [False, False]


def test_in_the_reserve_too_the_one_that_waits_longest_makes_room() -> None:
    connections = Connections(1)
    connections.work(admitted(connections, 1)[0])
    reserve = [Connection() for _ in range(16)]
    assert {connections.admit(each) for each in reserve} == {Admission.RESERVE}

    assert connections.admit(Connection()) is Admission.RESERVE

    assert [each.is_closed for each in reserve] == [True, *[False] * 15]


def test_the_reserve_ends_too_and_is_free_again_afterwards() -> None:
    connections = Connections(1)
    connections.work(admitted(connections, 1)[0])
    reserve = [Connection() for _ in range(16)]
    for each in reserve:
        connections.admit(each)
        connections.work(each)

    assert connections.admit(Connection()) is Admission.REFUSED
    connections.leave(reserve[0])

    assert connections.admit(Connection()) is Admission.RESERVE
    assert connections.closed == {"full": 1}


def test_who_has_left_is_forgotten() -> None:
    connections = Connections(1)
    (gone,) = admitted(connections, 1)
    connections.work(gone)
    connections.leave(gone)
    connections.wait(gone)  # its answer ends after its connection did

    assert connections.admit(Connection()) is Admission.ORDINARY
    assert (connections.open, gone.is_closed) == (1, False)


@pytest.mark.parametrize("files", [256, 512, 1024, 4096, 65_536])
def test_there_is_room_for_all_connections_and_those_on_their_way_in(files: int) -> None:
    assert room_within(files) + backlog_within(files) + 128 <= files


@pytest.mark.parametrize("connections", [16, 128, 800, 1000, 5000, 10_000, 50_000])
def test_as_many_files_as_are_asked_for_are_enough(connections: int) -> None:
    assert room_within(files_for(connections)) >= connections
