"""The issuer's keys: cached, rotated, withdrawn, and used while the issuer is down."""

from __future__ import annotations

import anyio
import pytest

from devin_mcp.errors import Broken
from devin_mcp.server.http.jwks import REFRESH_TIMEOUT, JwksCache
from tests.clock import AutoClock
from tests.http_client import start_http_server
from tests.server.http.fake_issuer import FakeIssuer, oauth_settings, posting
from tests.upstream import Upstream


async def test_keys_are_cached_and_fetched_again_for_a_new_key_id(
    upstream: Upstream, issuer: FakeIssuer, clock: AutoClock
) -> None:
    settings = oauth_settings(upstream, issuer)
    async with start_http_server(settings, clock=clock) as url, posting(url) as post:
        for _ in range(3):
            assert (await post(issuer.token())).status_code == 200
        assert issuer.requested_paths.count("/tenant/keys") == 1
        issuer.new_key("k2")
        assert (await post(issuer.token(key="k2"))).status_code == 401, "fetched a moment ago"
        clock.skip(31)
        assert (await post(issuer.token(key="k2"))).status_code == 200


async def test_tokens_with_invented_key_ids_cause_no_fetch(
    upstream: Upstream, issuer: FakeIssuer, clock: AutoClock
) -> None:
    impostor = FakeIssuer(issuer.url)
    impostor.new_key("k9")
    settings = oauth_settings(upstream, issuer)
    async with start_http_server(settings, clock=clock) as url, posting(url) as post:
        assert (await post(issuer.token())).status_code == 200
        requests_before = len(issuer.requested_paths)
        for _ in range(20):
            assert (await post(impostor.token(key="k9"))).status_code == 401
        assert len(issuer.requested_paths) == requests_before


async def test_withdrawn_key_is_refused_after_the_ttl(
    upstream: Upstream, issuer: FakeIssuer, clock: AutoClock
) -> None:
    settings = oauth_settings(upstream, issuer)
    async with start_http_server(settings, clock=clock) as url, posting(url) as post:
        token = issuer.token(key="k1")
        assert (await post(token)).status_code == 200
        issuer.new_key("k2")
        del issuer.keys["k1"]
        clock.skip(601)
        assert (await post(token)).status_code == 401


async def test_issuer_that_is_down_gives_503_without_usable_keys(
    upstream: Upstream, issuer: FakeIssuer, clock: AutoClock
) -> None:
    settings = oauth_settings(upstream, issuer)
    async with start_http_server(settings, clock=clock) as url, posting(url) as post:
        issuer.is_down = True
        response = await post(issuer.token())
        assert (response.status_code, response.headers["retry-after"]) == (503, "30")
        issuer.is_down = False
        clock.skip(31)
        assert (await post(issuer.token())).status_code == 200
        issuer.is_down = True
        clock.skip(3600)
        assert (await post(issuer.token())).status_code == 200, "with the keys of an hour ago"
        clock.skip(24 * 3600)
        assert (await post(issuer.token())).status_code == 503


async def test_endless_response_of_the_issuer_ends_after_the_timeout(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    """Broken is what a request without keys is answered with 503 for, as the test above shows."""
    issuer.is_endless = True
    cache = JwksCache(oauth_settings(upstream, issuer), refresh_timeout=1)
    with anyio.fail_after(4), pytest.raises(Broken, match="could not be read"):
        await cache.key("k1")
    assert issuer.requested_paths != []
    assert REFRESH_TIMEOUT < 9


async def test_jwks_url_and_audience_of_the_settings_are_used(
    upstream: Upstream, issuer: FakeIssuer
) -> None:
    settings = oauth_settings(
        upstream, issuer, oauth_jwks_url=f"{issuer.url}/keys", oauth_audience="devin"
    )
    async with start_http_server(settings) as url, posting(url) as post:
        assert (await post(issuer.token(aud="devin"))).status_code == 200
        assert (await post(issuer.token())).status_code == 401
    assert issuer.requested_paths == ["/tenant/keys"]
