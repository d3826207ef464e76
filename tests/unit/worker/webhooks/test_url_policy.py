"""What can be seen to be wrong with a webhook's URL before anyone is asked."""

from __future__ import annotations

import pytest

from worker.webhooks.url_policy import LONGEST_URL, destination_of, require_deliverable

GOOD = [
    "https://hooks.example/job",
    "https://hooks.example",
    "HTTPS://Hooks.Example:443/job?token=a%20b&x=[1]",
    "https://hooks.example:8443/",
    "https://xn--bcher-kva.example/",
    "https://hooks_2.example./",
    "https://1.1.1.1/",
    "https://[2606:4700:4700::1111]:8443/",
    "https://7eleven.example/",
    "https://hooks.example/" + "x" * (LONGEST_URL - 22),
]
PRIVATE = [
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://[fd12::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://localhost/",
    "https://LOCALHOST.:8443/",
    "https://hooks.localhost/",
]
BAD = {
    "http://hooks.example/": "must begin with https://",
    "ftp://hooks.example/": "must begin with https://",
    "file:///etc/passwd": "must begin with https://",
    "//hooks.example/": "must begin with https://",
    "hooks.example/job": "must begin with https://",
    "": "visible ASCII",
    "https://hooks.example/ü": "visible ASCII",
    "https://hooks.example/a b": "visible ASCII",
    "https://hooks.example/\r\nx-header: 1": "visible ASCII",
    "https://hooks.example\\@127.0.0.1/": "visible ASCII",
    "https://hooks.example/" + "x" * (LONGEST_URL - 21): f"at most {LONGEST_URL}",
    "https://user:pass@hooks.example/": "no user name",
    "https://user@hooks.example/": "no user name",
    "https://@hooks.example/": "no user name",
    "https://hooks.example@127.0.0.1/": "no user name",
    "https://hooks.example/#part": "no fragment",
    "https:///job": "a host and a valid port",
    "https://:8443/": "a host and a valid port",
    "https://hooks.example:/": "a host and a valid port",
    "https://hooks.example:port/": "a host and a valid port",
    "https://hooks.example:65536/": "a host and a valid port",
    "https://[::1/": "a host and a valid port",
    "https://[::1]x/": "a host and a valid port",
    "https://[fe80::1%25eth0]/": "a host and a valid port",
    "https://hooks%2eexample/": "a host and a valid port",
    "https://127.1/": "a host and a valid port",
    "https://2130706433/": "a host and a valid port",
    "https://0x7f.0.0.1/": "a host and a valid port",
    "https://0177.0.0.01/": "a host and a valid port",
    "https://1.1.1.1./": "a host and a valid port",
    "https://hooks.256/": "a host and a valid port",
    "https://hooks.example:25/": "no port but 443 and those from 1024 on",
    "https://hooks.example:80/": "no port but 443 and those from 1024 on",
    "https://hooks.example:0/": "no port but 443 and those from 1024 on",
    "https://169.254.169.254/latest/meta-data": "must lead to a public address; this one is link-local",
    "https://0.0.0.0/": "must lead to a public address; this one is unspecified",
    "https://[::]/": "must lead to a public address; this one is unspecified",
}


@pytest.mark.parametrize("url", GOOD)
@pytest.mark.parametrize("allow_private", [False, True])
def test_a_url_in_order_is_let_through(url: str, *, allow_private: bool) -> None:
    require_deliverable(url, allow_private=allow_private)


@pytest.mark.parametrize(("url", "reason"), BAD.items())
def test_the_fault_of_any_other_url_is_named(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        require_deliverable(url, allow_private=False)


@pytest.mark.parametrize("url", PRIVATE)
def test_the_own_network_is_for_closed_networks_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"must lead to a public address; this one is (private|loopback)"):
        require_deliverable(url, allow_private=False)
    require_deliverable(url, allow_private=True)


@pytest.mark.parametrize("url", ["http://hooks.example/", "http://127.0.0.1:8080/", "http://hooks.example:80/"])
def test_plain_http_is_for_closed_networks_only(url: str) -> None:
    require_deliverable(url, allow_private=True)


@pytest.mark.parametrize("url", [url for url in BAD if not url.startswith("http://")])
def test_a_closed_network_allows_nothing_else(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        require_deliverable(url, allow_private=True)


def test_a_log_may_say_no_more_than_where_it_leads() -> None:
    assert destination_of("https://Hooks.Example:8443/T0/B0?token=secret") == "hooks.example:8443"
