"""Environments that hosts, containers, CI systems and laptops are known to have.

None of these variables is ours. Most values are from public bug reports of httpx, of other MCP
servers, and of OpenTelemetry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UNREACHABLE = "http://127.0.0.1:1"
"""A proxy that nobody runs."""
TEMPORARY = ("TMPDIR", "TEMP", "TMP")


@dataclass(frozen=True)
class Environment:
    """Variables, and what has to be true with them. In every case all tools are listed."""

    name: str
    variables: dict[str, str | None] = field(default_factory=dict)
    """{proxy} and {socks} stand for the ports of proxies that run, {plain} for that of a server
    without TLS; None unsets a variable.
    """
    blames: str = ""
    """What the error of a call says; empty if the call works."""
    warns_of: str = ""
    """The variable that the log names as unusable."""
    traces: bool = False
    """Calls have a trace id."""


def bypassing(name: str, covering: str, **others: str) -> Environment:
    """All proxies are unreachable, and NO_PROXY covers the address of the simulated Devin."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), UNREACHABLE)
    return Environment(name, {**proxies, "NO_PROXY": covering, **others})


NETWORKS = [
    # The hosts that need no proxy.
    bypassing("OrbStack", "localhost,127.0.0.0/8,::1,0.250.250.0/24,fd07:b51a:cc66:f0::/64"),
    bypassing("MyAgents", "localhost,localhost.localdomain,127.0.0.0/8,::1,[::1]"),
    bypassing("Kubernetes dual stack", "10.0.0.0/8,fd00::/8,.svc,.cluster.local,127.0.0.0/8"),
    bypassing("any port", "localhost:*,127.0.0.1:*,[::1]:*"),
    bypassing("macOS", "*.local, 169.254/16, 127.0.0.1"),
    bypassing("Windows", "<local>;*.corp.example;127.*"),
    bypassing("international name", "münchen.example,*.bücher.example,127.0.0.1"),
    bypassing("several lines", "localhost\n127.0.0.0/8\r\n192.168.0.0/16\n"),
    bypassing("quoted by an env file", '"localhost,127.0.0.1"'),
    bypassing("URLs", "http://127.0.0.1,https://artifacts.corp.example/"),
    bypassing("link-local with a zone", "fe80::1%eth0,fe80::/10,127.0.0.1"),
    bypassing("lower case wins", "[::1]", no_proxy="127.0.0.1"),
    bypassing("everything", "*"),
    Environment(
        "host not covered", {"HTTP_PROXY": UNREACHABLE, "NO_PROXY": "fd00::/8,[::1]"}, "HTTP_PROXY"
    ),
    Environment(
        "entries of no form",
        {"HTTP_PROXY": UNREACHABLE, "NO_PROXY": "fd00::/200,127.0.0.1,host:abc"},
        warns_of="NO_PROXY",
    ),
    # The proxies.
    Environment("GNOME", {"ALL_PROXY": "socks://127.0.0.1:{socks}/"}),
    Environment("GNOME, lower case", {"all_proxy": "socks://127.0.0.1:{socks}/"}),
    Environment("GNOME without the proxy", {"ALL_PROXY": "socks://127.0.0.1:1/"}, "ALL_PROXY"),
    Environment("SOCKS with names", {"ALL_PROXY": "socks5h://127.0.0.1:{socks}"}),
    Environment("SOCKS 4", {"all_proxy": "socks4://127.0.0.1:1"}, "all_proxy"),
    Environment("empty", dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY"), "")),
    Environment("empty in lower case", {"HTTP_PROXY": UNREACHABLE, "http_proxy": ""}),
    Environment("https instead of http", {"HTTP_PROXY": "https://127.0.0.1:{plain}"}, "HTTP_PROXY"),
    Environment("without scheme", {"HTTP_PROXY": "127.0.0.1:{proxy}"}),
    Environment("line end", {"HTTP_PROXY": "http://127.0.0.1:{proxy}\r"}),
    Environment("quotes", {"HTTP_PROXY": '"http://127.0.0.1:{proxy}/"'}),
    Environment("escaped password", {"HTTP_PROXY": "http://me:hunter2%23%2F@127.0.0.1:{proxy}"}),
    Environment("@ in a password", {"HTTP_PROXY": "http://me:hunter2@x@127.0.0.1:{proxy}"}),
    Environment("# in a password", {"http_proxy": "http://me:1#hunter2@127.0.0.1"}, "http_proxy"),
    Environment("/ in a password", {"HTTP_PROXY": "http://me:hunter2/@127.0.0.1"}, "HTTP_PROXY"),
    Environment("placeholder", {"HTTP_PROXY": "http://$PROXY_HOST:3128"}, "HTTP_PROXY"),
    Environment("no host", {"HTTP_PROXY": "http://"}, "HTTP_PROXY"),
    Environment("unknown host", {"HTTP_PROXY": "http://proxy.invalid:3128"}, "HTTP_PROXY does not"),
    Environment("of the other scheme", {"HTTPS_PROXY": "socks4://hunter2"}),
]
"""Tested in this process: proxies are read when the first request is sent."""

PROCESSES = [
    Environment("without docstrings", {"PYTHONOPTIMIZE": "2"}),
    Environment("warnings are errors", {"PYTHONWARNINGS": "error", "PYTHONASYNCIODEBUG": "1"}),
    Environment("ASCII", {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "LC_ALL": "C"}),
    Environment("Windows code page", {"PYTHONIOENCODING": "cp1252:strict"}),
    Environment("Turkish laptop", {"LC_ALL": "tr_TR.UTF-8", "HOME": "/no/such/home"}),
    Environment("CI terminal", {"COLUMNS": "1", "TERM": "dumb", "LC_ALL": "xx_YY.nope"}),
    Environment(
        "scratch container",
        {"HOME": None, "USERPROFILE": None, "LANG": None, **dict.fromkeys(TEMPORARY, "/no/tmp")},
    ),
    Environment("conda on Git Bash", {"SSL_CERT_FILE": "/no/such.pem"}, warns_of="SSL_CERT_FILE"),
    Environment("Wireshark", {"SSLKEYLOGFILE": "/no/such/keys.log", "SSL_CERT_DIR": "/no/such"}),
    Environment(
        "Claude Code's telemetry",
        {
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": UNREACHABLE,
        },
        warns_of="OTEL_EXPORTER_OTLP_PROTOCOL",
    ),
    Environment("metrics only", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": UNREACHABLE}),
    Environment("spans to the console", {"OTEL_TRACES_EXPORTER": "console"}, traces=True),
    Environment("Jaeger", {"OTEL_TRACES_EXPORTER": "jaeger"}, warns_of="OTEL_TRACES_EXPORTER"),
    Environment("X-Ray", {"OTEL_PROPAGATORS": "xray,baggage"}, warns_of="OTEL_PROPAGATORS"),
    Environment("eventlet", {"OTEL_PYTHON_CONTEXT": "eventlet"}, warns_of="OTEL_PYTHON_CONTEXT"),
    Environment(
        "spans as JSON",
        {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_ENDPOINT": UNREACHABLE,
        },
        warns_of="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    ),
    Environment(
        "another tracer",
        {"OTEL_PYTHON_TRACER_PROVIDER": "ddtrace"},
        warns_of="OTEL_PYTHON_TRACER_PROVIDER",
    ),
    Environment(
        "batches larger than the queue",
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "99999"},
        warns_of="OTEL_...",
    ),
]
"""Tested with a process each: what Python and the libraries do at the start is tested."""
