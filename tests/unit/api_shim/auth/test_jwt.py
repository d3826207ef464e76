"""Who gets in: signature, algorithm, time, claims and scopes of the JWT, before anything else is looked at."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from api_shim.auth.jwt import JwtVerifier, UnauthorizedError
from tests.unit.api_shim.conftest import Running, new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, SECRET, Shim, mint, problem, token_of
from worker.settings import ShimSettings

UNAUTHORIZED = (401, {"success": False, "errno": 400, "message": "Unauthorized User", "code": "unauthorized"})
FORBIDDEN = (403, {"success": False, "errno": 403, "message": "Forbidden", "code": "insufficient_scope"})
JOB_NOT_FOUND = 404
PATH = "/jobs/some-id"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
AGO, AHEAD = datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)


def base64_of(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def new_rsa_key() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_curve_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def unsigned(**header: object) -> str:
    claims = {"account_id": "a1", "uid": "u1", "scope": "contacts", "exp": 9_999_999_999}
    return f"{base64_of(json.dumps(header).encode())}.{base64_of(json.dumps(claims).encode())}."


@pytest.fixture(scope="module")
def shim() -> Iterator[Shim]:
    """Yield one shim for all tests here: they leave nothing that another would notice."""
    with serving(new_parts()) as shim:
        yield shim


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic {jwt}",
        "Token {jwt}",
        "{jwt}",
        "Bearer x.y.z",
        "Bearer ä.ö.ü",
        "Bearer {jwt}x",
        "Bearer {jwt} {jwt}",
        f"Bearer {unsigned(alg='none')}",
        f"Bearer {unsigned(alg='None')}",
        f"Bearer {unsigned(alg=['HS256'])}",
        f"Bearer {unsigned()}",
    ],
)
def test_without_a_jwt_of_ours_nobody_gets_in(shim: Shim, authorization: str) -> None:
    answer = shim.get(PATH, authorization=authorization.format(jwt=mint()))

    assert problem(answer) == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("key", "algorithm"), [(SECRET[::-1], "HS256"), (SECRET, "HS512")])
def test_a_jwt_signed_in_any_other_way_is_refused(shim: Shim, key: str, algorithm: str) -> None:
    answer = shim.get(PATH, authorization=f"Bearer {mint(key=key, algorithm=algorithm)}")

    assert problem(answer) == UNAUTHORIZED


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": AGO},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"nbf": AHEAD},
        {"account_id": None},
        {"account_id": ""},
        {"account_id": True},
        {"account_id": 1.5},
        {"account_id": ["a1"]},
        {"account_id": "a\x001"},
        {"account_id": "half a pair: \ud83d"},
        {"account_id": "a" * 257},
        {"account_id": 10**257},
        {"uid": None},
        {"uid": False},
        {"uid": ""},
    ],
)
def test_a_jwt_that_has_ended_or_lacks_an_identity_is_refused(shim: Shim, claims: dict[str, object]) -> None:
    assert problem(shim.get(PATH, authorization=f"Bearer {mint(claims)}")) == UNAUTHORIZED


@pytest.mark.parametrize(
    "claims", [{}, {"aud": "anyone"}, {"iss": "anyone"}, {"sub": 42}, {"jti": 42}, {"iat": AHEAD}, {"nbf": AGO}]
)
def test_claims_that_are_not_ours_to_judge_change_nothing(shim: Shim, claims: dict[str, object]) -> None:
    assert shim.get(PATH, authorization=f"Bearer {mint(claims)}").status_code == JOB_NOT_FOUND


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -2), ("nbf", 2)])
def test_an_issuers_clock_may_be_seconds_off(shim: Shim, claim: str, seconds: int) -> None:
    claims = {claim: datetime.now(UTC) + timedelta(seconds=seconds)}
    assert shim.get(PATH, authorization=f"Bearer {mint(claims)}").status_code == JOB_NOT_FOUND


def test_while_a_secret_is_replaced_both_let_their_owners_in(running: Running) -> None:
    new, old, strange = ("n" * 32, "o" * 32, "s" * 32)
    with running(jwt_secret=f"{new}, {old}") as shim:
        statuses = [shim.get(PATH, authorization=f"Bearer {mint(key=key)}").status_code for key in (new, old, strange)]
        ended = shim.get(PATH, authorization=f"Bearer {mint({'exp': AGO}, key=old)}").status_code

    assert statuses == [JOB_NOT_FOUND, JOB_NOT_FOUND, 401]
    assert ended == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(shim: Shim, scheme: str) -> None:
    assert shim.get(PATH, authorization=f"{scheme} {mint()}").status_code == JOB_NOT_FOUND


@pytest.mark.parametrize(
    "scope", ["contacts", "contacts.external", "crm contacts.external", ["contacts"], ["x", "contacts.external"]]
)
def test_either_scope_is_enough_as_text_or_as_a_list(shim: Shim, scope: object) -> None:
    assert shim.get(PATH, authorization=f"Bearer {mint({'scope': scope})}").status_code == JOB_NOT_FOUND


@pytest.mark.parametrize("scope", [None, "", "contact", "contacts.internal", "CONTACTS", [], [["contacts"]], {}, 1])
def test_without_the_scope_the_caller_is_known_but_not_let_in(shim: Shim, scope: object) -> None:
    assert problem(shim.get(PATH, authorization=f"Bearer {mint({'scope': scope})}")) == FORBIDDEN


def test_an_account_id_that_is_a_number_is_the_same_as_its_digits(shim: Shim) -> None:
    shim.tokens.put(token_of("42", "7"))
    number, text = (f"Bearer {mint({'account_id': i, 'uid': u})}" for i, u in ((42, 7), ("42", "7")))

    job_id = shim.post("/export/contacts", authorization=number).json()["data"]["job_id"]

    assert shim.get(f"/jobs/{job_id}", authorization=text).status_code == 200


def test_no_route_says_what_is_wrong_with_a_request_before_its_jwt_was_looked_at(shim: Shim) -> None:
    document = shim.ask("GET", "/openapi.json", authorization="").json()
    nonsense = {"prefer": "wait=x", "idempotency-key": ""}
    secured = [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security")
    ]

    for method, path in secured:
        url = f"{path.replace('{', '').replace('}', '')}?limit=x&limit=x&cursor=x&format=x&bom=x"
        answer = shim.ask(method, url, authorization="", content=b"{", headers=nonsense)
        assert problem(answer) == UNAUTHORIZED, (method, path)
    assert len(secured) >= 10


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/export/tickets?limit=x", None),
        ("GET", "/export/contacts?limit=0&limit=0", None),
        ("POST", "/export/contacts", b"{"),
        ("POST", "/export/contacts", b" " * 1_000_000),
        ("POST", "/export/tickets", b'{"limit": 0}'),
        ("GET", "/jobs/x/results?offset=y", None),
    ],
)
def test_the_jwt_is_looked_at_before_anything_else(shim: Shim, method: str, path: str, content: bytes | None) -> None:
    refused = shim.ask(method, f"{BASE_PATH}{path}", authorization="", content=content, headers={"prefer": "wait=x"})
    assert problem(refused) == UNAUTHORIZED

    forbidden = f"Bearer {mint({'scope': ''})}"
    assert problem(shim.ask(method, f"{BASE_PATH}{path}", authorization=forbidden, content=content)) == FORBIDDEN


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"aud": "export", "iss": "https://id.example"}, JOB_NOT_FOUND),
        ({"aud": ["other", "export"], "iss": "https://id.example"}, JOB_NOT_FOUND),
        ({"aud": "other", "iss": "https://id.example"}, 401),
        ({"iss": "https://id.example"}, 401),
        ({"aud": "export", "iss": "https://other.example"}, 401),
        ({"aud": "export"}, 401),
    ],
)
def test_audience_and_issuer_are_checked_when_they_are_set(
    running: Running, claims: dict[str, object], status: int
) -> None:
    with running(jwt_audience="export", jwt_issuer="https://id.example") as shim:
        assert shim.get(PATH, authorization=f"Bearer {mint(claims)}").status_code == status


@pytest.mark.parametrize(
    ("new_key", "algorithm"), [(new_rsa_key, "RS256"), (new_curve_key, "ES256")], ids=["RS256", "ES256"]
)
def test_with_a_public_key_only_its_owner_can_sign(
    running: Running, new_key: Callable[[], PrivateKey], algorithm: str
) -> None:
    ours, other = new_key(), new_key()
    public = ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    signed = [mint(key=private_pem(key), algorithm=algorithm) for key in (ours, other)]
    forged = mint(key=private_pem(new_rsa_key()), algorithm="RS512")

    with running(jwt_secret=(), jwt_public_key=public) as shim:
        statuses = [shim.get(PATH, authorization=f"Bearer {token}").status_code for token in (*signed, forged)]

    assert statuses == [JOB_NOT_FOUND, 401, 401]


def test_the_public_key_does_not_serve_as_a_secret(running: Running) -> None:
    public = new_rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claimed = unsigned(alg="HS256").removesuffix(".")
    signature = hmac.digest(public, claimed.encode(), "sha256")

    with running(jwt_secret=(), jwt_public_key=public.decode()) as shim:
        answer = shim.get(PATH, authorization=f"Bearer {claimed}.{base64_of(signature)}")

    assert problem(answer) == UNAUTHORIZED


def test_a_signature_that_was_right_once_counts_no_longer_than_its_jwt() -> None:
    now = [1_800_000_000.0]
    verifier = JwtVerifier(ShimSettings.model_validate({"jwt_secret": SECRET}), wall=lambda: now[0])
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    jwt = f"Bearer {mint({'exp': ends_at})}"
    now[0] = ends_at.timestamp() - 1
    caller = asyncio.run(verifier.caller(jwt))
    now[0] += 30
    assert asyncio.run(verifier.caller(jwt)) is caller
    held = [value for value in vars(verifier).values() if isinstance(value, dict)]
    assert len(held[0]) == 1
    assert jwt.split()[1] not in str(held)

    now[0] += 1  # by this clock it has ended; PyJWT goes by the real one, so that it is verified once more
    assert asyncio.run(verifier.caller(jwt)) is not caller


def test_a_signature_that_was_right_once_does_not_before_its_jwt_begins() -> None:
    now = [datetime.now(UTC).timestamp()]
    verifier = JwtVerifier(ShimSettings.model_validate({"jwt_secret": SECRET}), wall=lambda: now[0])
    jwt = f"Bearer {mint({'nbf': int(now[0])})}"
    caller = asyncio.run(verifier.caller(jwt))
    assert asyncio.run(verifier.caller(jwt)) is caller

    now[0] -= 32

    assert asyncio.run(verifier.caller(jwt)) is not caller


def test_only_so_many_signatures_are_remembered_and_none_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_shim.auth.jwt._MOST_VERIFIED", 2)
    verifier = JwtVerifier(ShimSettings.model_validate({"jwt_secret": SECRET}))
    first, *others = (f"Bearer {mint({'uid': f'u{number}'})}" for number in range(3))
    caller = asyncio.run(verifier.caller(first))
    for _ in range(3):
        with pytest.raises(UnauthorizedError):
            asyncio.run(verifier.caller(f"{first}x"))
    assert asyncio.run(verifier.caller(first)) is caller

    for each in others:
        asyncio.run(verifier.caller(each))

    assert asyncio.run(verifier.caller(first)) is not caller
