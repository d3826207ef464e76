"""Signatures: who follows the standard, or the reference, finds them genuine, with the secret of the account alone."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from tests.readme import IsGenuine, check_of_signatures
from worker.webhooks.signature import Signer

OLD, NEW = SecretStr("old-" + "0" * 32), SecretStr("new-" + "0" * 32)
BODY = '{"id":"evt_1","data":"ü😀"}'.encode()


@pytest.fixture
def is_genuine() -> IsGenuine:
    """Return the verification function that docs/reference/webhooks.md offers to receivers."""
    return check_of_signatures()


def signed(*secrets: SecretStr, account_id: str = "a1", at: datetime | None = None) -> dict[str, str]:
    return Signer(secrets).headers(account_id, event_id="evt_1", body=BODY, at=at or datetime.now(UTC))


def secret(of: SecretStr, account_id: str = "a1") -> str:
    (found,) = Signer([of]).secrets_of(account_id)
    return found.get_secret_value()


def test_the_readmes_check_is_that_of_the_standard(is_genuine: IsGenuine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values are those that the standard's own libraries are tested with."""
    monkeypatch.setattr(time, "time", lambda: 1614265330.0)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    assert is_genuine("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232314}')
    assert not is_genuine("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232315}')


def test_a_signature_is_genuine_by_the_readmes_check(is_genuine: IsGenuine) -> None:
    assert is_genuine(secret(NEW), signed(NEW), BODY)
    assert not is_genuine(secret(NEW), signed(NEW), BODY + b" ")
    assert not is_genuine(secret(OLD), signed(NEW), BODY)
    assert not is_genuine(secret(NEW), signed(NEW) | {"webhook-id": "evt_2"}, BODY)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_an_old_signature_is_none(is_genuine: IsGenuine, minutes: int) -> None:
    assert not is_genuine(secret(NEW), signed(NEW, at=datetime.now(UTC) + timedelta(minutes=minutes)), BODY)


def test_while_secrets_change_either_is_enough(is_genuine: IsGenuine) -> None:
    headers = signed(NEW, OLD)

    assert headers["webhook-signature"].count("v1,") == 2
    assert is_genuine(secret(NEW), headers, BODY)
    assert is_genuine(secret(OLD), headers, BODY)


def test_who_can_check_one_account_can_forge_nothing_of_another(is_genuine: IsGenuine) -> None:
    assert secret(NEW, "a1") != secret(NEW, "a2")
    assert not is_genuine(secret(NEW, "a2"), signed(NEW, account_id="a1"), BODY)
    assert secret(NEW) == "whsec_IL2GNBf2zm9HdJvRUEJjxx+K17ZjyusrIruwluioYaI="  # receivers hold it: it may not change


def test_the_headers_are_those_of_the_standard() -> None:
    headers = signed(NEW, at=datetime(2026, 11, 23, 15, 0, 0, 999_000, tzinfo=UTC))

    assert list(headers) == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1795446000")
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", headers["webhook-signature"])


def test_without_a_secret_nothing_is_signed() -> None:
    assert not Signer([]).can_sign
    assert Signer([]).secrets_of("a1") == []


def test_no_secret_shows() -> None:
    signer = Signer([NEW])

    assert NEW.get_secret_value() not in repr(vars(signer))
    assert secret(NEW) not in repr(signer.secrets_of("a1"))
