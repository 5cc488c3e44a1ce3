"""NO_PROXY in the forms that other programs write it."""

from __future__ import annotations

import httpx
import pytest

from devin_mcp.api.no_proxy import read_no_proxy
from tests.conftest import Logs

HOSTS = {
    "127.0.0.1": ("http://127.0.0.1:9/", "http://127.0.0.2/"),
    "127.0.0.1:9": ("http://127.0.0.1:9/", "http://127.0.0.1/"),
    "127.0.0.1:80": ("http://127.0.0.1/", "https://127.0.0.1/"),
    "10.0.0.0/8": ("http://10.1.2.3/", "http://11.1.2.3/"),
    "10.1.2.3/8": ("http://10.9.9.9/", "http://11.1.2.3/"),
    "172.16.0.0/255.240.0.0": ("http://172.31.0.1/", "http://172.32.0.1/"),
    "169.254/16": ("http://169.254.1.1/", "http://169.253.1.1/"),
    "10.*": ("http://10.1.2.3/", "http://11.1.2.3/"),
    "::1": ("http://[::1]:8080/", "http://[::2]/"),
    "[::1]": ("http://[::1]/", "http://127.0.0.1/"),
    "[::1]:8080": ("http://[::1]:8080/", "http://[::1]/"),
    "[::1]:*": ("http://[::1]:8080/", "http://[::2]/"),
    "0:0:0:0:0:0:0:1": ("http://[::1]/", "http://[::2]/"),
    "fd00::/8": ("http://[fd12::1]/", "http://[fe80::1]/"),
    "[fd00::]/8": ("http://[fd12::1]/", "http://[fe80::1]/"),
    "[fd00::/8]": ("http://[fd12::1]/", "http://[fe80::1]/"),
    "fd07:b51a:cc66:f0::/64": ("http://[fd07:b51a:cc66:f0::2]/", "http://[fd07:b51a::2]/"),
    "fe80::1%eth0": ("http://[fe80::1]/", "http://[fe80::2]/"),
    "::ffff:0:0/96": ("http://[::ffff:10.0.0.1]/", "http://10.0.0.1/"),
    "localhost": ("http://LocalHost/", "http://notlocalhost/"),
    "localhost:*": ("http://localhost:9/", "http://other/"),
    "example.com": ("https://api.example.com/", "https://notexample.com/"),
    "EXAMPLE.com.": ("https://example.com/", "https://example.org/"),
    ".example.com": ("https://example.com./", "https://notexample.com/"),
    "*.example.com": ("https://a.b.example.com/", "https://example.community/"),
    "*example.com": ("https://example.com/", "https://notexample.com/"),
    "api.*.example.com": ("https://api.eu.example.com/", "https://web.eu.example.com/"),
    "api.devin.ai:443": ("https://api.devin.ai/", "http://api.devin.ai/"),
    "https://api.devin.ai/": ("https://api.devin.ai/v1", "http://api.devin.ai/"),
    "all://api.devin.ai": ("http://api.devin.ai/", "http://devin.ai/"),
    "my_host": ("http://my_host/", "http://host/"),
    "münchen.example": ("http://xn--mnchen-3ya.example/", "http://munchen.example/"),
    "*.MÜNCHEN.example": ("http://a.münchen.example/", "http://example/"),
    "xn--mnchen-3ya.example": ("http://münchen.example/", "http://example/"),
    "10.0.0.0/8, localhost": ("http://localhost/", "http://11.0.0.1/"),
    "10.0.0.0/8 localhost\n::1": ("http://[::1]/", "http://11.0.0.1/"),
    "<local>;127.*;*.corp.example": ("http://a.corp.example/", "http://a.b/"),
    "<local>": ("http://intranet/", "http://[::1]/"),
    '"localhost,127.0.0.1"': ("http://127.0.0.1/", "http://127.0.0.2/"),
    ",, ,localhost,": ("http://localhost/", "http://other/"),
}


@pytest.mark.parametrize("value", HOSTS)
def test_hosts_of_the_value_need_no_proxy_and_others_do(value: str) -> None:
    matched, other = HOSTS[value]
    no_proxy = read_no_proxy("NO_PROXY", value)
    assert no_proxy.matches(httpx.URL(matched))
    assert not no_proxy.matches(httpx.URL(other))


@pytest.mark.parametrize("value", ["*", "localhost,*", "*:*", "http://*"])
def test_asterisk_matches_every_host(value: str) -> None:
    for url in ("http://a.example/", "http://[::1]:9/", "http://10.0.0.1/"):
        assert read_no_proxy("NO_PROXY", value).matches(httpx.URL(url))


@pytest.mark.parametrize(
    ("value", "ignored"),
    [
        ("fd00::/200,localhost", "fd00::/200"),
        ("localhost,10.0.0.0/33", "10.0.0.0/33"),
        ("host:abc localhost", "host:abc"),
        ("localhost;<-loopback>", "<-loopback>"),
        ("${NO_PROXY},localhost", "${NO_PROXY}"),
        ("localhost,.", "."),
        ("localhost,a*ü.example", "a*ü.example"),
        ("localhost,http://me:hunter2@$x", "$x"),
        ("localhost,999.1.1.1", "999.1.1.1"),
    ],
)
def test_entry_of_no_known_form_is_ignored_and_logged_once(
    logs: Logs, value: str, ignored: str
) -> None:
    for _ in range(2):
        no_proxy = read_no_proxy("no_proxy", value)
    assert no_proxy.ignored == (ignored,)
    assert no_proxy.matches(httpx.URL("http://localhost/"))
    (warning,) = logs()
    assert (warning["event"], warning["variable"]) == ("variable_ignored", "no_proxy")
    assert warning["why"] == f"no host, address or range: {ignored}"
