"""The HubSpot sandbox as a program: what happens on the wire, and how it ends."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from sandbox.control import HubSpotControl
from tests.patience import PATIENCE_S

DEALS = "/deals/v1/deal/paged"


@contextmanager
def program() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the sandbox on a free port; yields the process and its address."""
    command = [sys.executable, "-m", "sandbox.hubspot", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"HubSpot sandbox listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with program() as (_, address):
        yield address


@pytest.fixture
def session(url: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def control(url: str, session: requests.Session) -> HubSpotControl:
    control = HubSpotControl(url, session=session)
    control.reset()
    control.add_account(99, records={"deals": 300}, rate_limit=0)
    return control


@pytest.fixture
def headers(control: HubSpotControl) -> dict[str, str]:
    return {"Authorization": f"Bearer {control.issue_access_token(99)}"}


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def plain(headers: dict[str, str], target: str = DEALS) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n\r\n".encode()


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_whole_account_is_read_over_one_kept_connection(
    url: str, control: HubSpotControl, headers: dict[str, str], session: requests.Session
) -> None:
    seen: list[int] = []
    offset, more = 0, True
    while more:
        page = session.get(f"{url}{DEALS}?limit=70&offset={offset}", headers=headers, timeout=PATIENCE_S).json()
        seen += [deal["dealId"] for deal in page["deals"]]
        offset, more = page["offset"], page["hasMore"]

    assert seen == control.record_ids(99, "deals")


def test_a_token_is_fetched_with_a_form(url: str, control: HubSpotControl, session: requests.Session) -> None:
    grant = {"grant_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "refresh-99"}

    granted = session.post(f"{url}/oauth/2026-09/token", data=grant, timeout=PATIENCE_S)

    assert granted.status_code == 200
    assert granted.json()["hub_id"] == 99


def test_a_reset_reaches_the_client_before_any_answer(
    url: str, control: HubSpotControl, headers: dict[str, str]
) -> None:
    control.fail_next("reset", type="deals")

    with connect(url) as connection:
        connection.sendall(plain(headers))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_cut_answer_ends_before_its_content_length(
    url: str, control: HubSpotControl, headers: dict[str, str]
) -> None:
    control.fail_next("cut", cut_after=100, type="deals")

    with connect(url) as connection:
        connection.sendall(plain(headers))
        head, _, body = everything(connection).partition(b"\r\n\r\n")

    [promised] = re.findall(rb"content-length: (\d+)", head)
    assert len(body) == 100
    assert int(promised) > 100


def test_a_cut_answer_is_an_error_for_requests(
    url: str, control: HubSpotControl, headers: dict[str, str], session: requests.Session
) -> None:
    control.fail_next("cut", type="deals")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.get(url + DEALS, headers=headers, timeout=PATIENCE_S)


def test_a_silent_answer_never_comes_and_leaves_others_alone(
    url: str, control: HubSpotControl, headers: dict[str, str], session: requests.Session
) -> None:
    control.fail_next("silent", type="deals")

    with pytest.raises(requests.ReadTimeout):
        session.get(url + DEALS, headers=headers, timeout=0.3)

    assert session.get(url + DEALS, headers=headers, timeout=PATIENCE_S).status_code == 200


def test_a_slow_answer_does_not_hold_up_other_connections(
    url: str, control: HubSpotControl, headers: dict[str, str], session: requests.Session
) -> None:
    control.fail_next("slow", delay_s=60, type="deals")

    with connect(url) as slow:
        slow.sendall(plain(headers))
        while control.faults()[0]["fired"] == 0:
            pass
        assert session.get(url + DEALS, headers=headers, timeout=PATIENCE_S).status_code == 200


def test_pipelined_requests_are_answered_in_their_order_even_when_the_first_is_slow(
    url: str, control: HubSpotControl, headers: dict[str, str]
) -> None:
    control.fail_next(status=299, body="first", delay_s=0.2, type="deals")
    last = plain(headers, "/nonesuch").replace(b"Host: x", b"Host: x\r\nConnection: close")

    with connect(url) as connection:
        connection.sendall(plain(headers) + last)
        answers = everything(connection)

    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"299", b"404"]


def test_what_is_no_http_is_refused_and_the_connection_closed(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")

        assert everything(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_in_pieces_is_put_together(url: str, control: HubSpotControl, session: requests.Session) -> None:
    answer = session.post(f"{url}/__sandbox/faults", data=iter([b'{"status"', b": 503}"]), timeout=PATIENCE_S)

    assert answer.json()["status"] == 503


def test_many_clients_at_once_get_their_answers(url: str, control: HubSpotControl, headers: dict[str, str]) -> None:
    statuses: list[int] = []

    def client() -> None:
        with requests.Session() as session:
            statuses.extend(session.get(url + DEALS, headers=headers, timeout=PATIENCE_S).status_code for _ in range(5))

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_at_once_with_success_whatever_is_under_way(number: signal.Signals) -> None:
    with program() as (process, address), requests.Session() as session:
        control = HubSpotControl(address, session=session)
        control.add_account(99)
        control.fail_next("slow", delay_s=60)
        with connect(address) as waiting:
            waiting.sendall(plain({"Authorization": "Bearer none"}))
            while control.faults()[0]["fired"] == 0:
                pass
            process.send_signal(number)

            assert process.wait(timeout=PATIENCE_S) == 0


def test_a_taken_port_is_one_line_and_no_traceback(url: str) -> None:
    port = url.rpartition(":")[2]

    ended = subprocess.run(
        [sys.executable, "-m", "sandbox.hubspot", "--port", port],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: cannot listen on 127.0.0.1:")
    assert "Traceback" not in ended.stderr
