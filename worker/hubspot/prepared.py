"""Requests as they leave: what many of them have in common is prepared once, with the rules of `requests`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from pydantic import SecretStr
from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers

_HEADERS = {**default_headers(), "Accept": "application/json", "User-Agent": "hubspot-export"}
_MOST_ADDRESSES = 1_000  # there are as many as endpoints; more of them would be a mistake that must not fill the memory


class RequestPreparer:
    """Makes requests without a session of `requests`, which for every call merges settings, cookies and headers anew.

    The address that a list has is prepared once. Neither a `.netrc` nor a cookie finds its way into a request.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def get(
        self, url: str, params: Sequence[tuple[str, str]], *, token: SecretStr, keeps_commas: bool = False
    ) -> PreparedRequest:
        """Return a GET with `params` behind those of `url`. Raises a RequestException where `url` is no address.

        `keeps_commas`: names stand between commas, which HubSpot counts as one character, and `%2C` as three.
        """
        request = _request("GET", token=token)
        request.url = self._with_query(self._address(url), urlencode(params, safe="," if keeps_commas else ""))
        return request

    def other(
        self,
        method: str,
        url: str,
        *,
        form: Sequence[tuple[str, str]] | None,
        json: Mapping[str, object] | None,
        token: SecretStr | None,
    ) -> PreparedRequest:
        """Return a request of any kind, of which nothing is kept: its address may hold a secret.

        Raises a RequestException where `url` is no address.
        """
        request = _request(method, token=token)
        request.prepare_url(url, None)
        request.prepare_body(form, None, json)
        return request

    def _address(self, url: str) -> str:
        address = self._addresses.get(url)
        if address is None:
            request = PreparedRequest()
            request.prepare_url(url, None)
            address = str(request.url)
            if len(self._addresses) < _MOST_ADDRESSES:
                self._addresses[url] = address
        return address

    def _with_query(self, address: str, query: str) -> str:
        if not query:
            return address
        address, hash_mark, fragment = address.partition("#")
        return f"{address}{'&' if '?' in address else '?'}{query}{hash_mark}{fragment}"


def _request(method: str, *, token: SecretStr | None) -> PreparedRequest:
    request = PreparedRequest()
    request.method = method
    request.headers = CaseInsensitiveDict(_HEADERS)
    if token is not None:
        request.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    return request
