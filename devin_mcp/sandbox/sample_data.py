"""Sample data of a new organization: notes, playbooks and secrets of a small company."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from devin_mcp.sandbox.organization import Organization, SandboxClock, format_time
from devin_mcp.sandbox.sample_v3 import sample_repositories, sample_schedules

FOLDERS = ("Conventions", "Services", "Operations")

NOTES: tuple[tuple[int, str, str, str, str | None], ...] = (
    (
        0,
        "Commit messages",
        "When committing",
        (
            "Imperative, at most 72 characters, why before what. Reference the issue as `SHOP-123` "
            "in the last line."
        ),
        None,
    ),
    (
        0,
        "Python style",
        "When writing Python",
        (
            "ruff and mypy strict. No `Any` across modules.\n\n- Types in signatures\n"
            "- No `print`; use `structlog`\n"
            "- Money is `Decimal`, never `float`"
        ),
        None,
    ),
    (
        0,
        "TypeScript style",
        "When writing TypeScript",
        (
            "`strict` is on. No default exports, no enums.\n\n"
            "Dates travel as ISO 8601 in UTC and are formatted in the last component."
        ),
        None,
    ),
    (
        0,
        "Reviews",
        "When opening a pull request",
        "Small diffs. Link the issue. Say how it was tested, with the output.",
        None,
    ),
    (
        0,
        "Tests",
        "When adding or changing tests",
        (
            "A test has one reason to fail and says it in its name. "
            "No sleeping: drive the clock.\n\n"
            "Flaky tests are fixed or deleted the same day, never retried."
        ),
        None,
    ),
    (
        1,
        "shop-api",
        "When working on acme/shop-api",
        (
            "FastAPI on Python 3.12, Postgres 16.\n\n"
            "Tests: `make test` (2 minutes), one file: `make test FILE=tests/test_orders.py`.\n"
            "Migrations: `make migration NAME=...`; they must be reversible."
        ),
        "acme/shop-api",
    ),
    (
        1,
        "shop-web",
        "When working on acme/shop-web",
        (
            "React and Vite. `npm test` needs Node 22.\n\n"
            "Components live beside their tests and stories. The design system is `@acme/ui`."
        ),
        "acme/shop-web",
    ),
    (
        1,
        "Payments sandbox",
        "When touching checkout or payments",
        (
            "Use the provider's test cards only: `4242…` succeeds, `4000…0002` is declined. Never "
            "log a card number, not even a test one."
        ),
        "acme/shop-api",
    ),
    (
        1,
        "API contracts",
        "When an endpoint is added or changed",
        (
            "`openapi.yaml` comes first and is reviewed alone. Fields are added, never renamed; "
            "removal takes two releases."
        ),
        "acme/shop-api",
    ),
    (
        2,
        "Deploying",
        "When something is to be deployed",
        "Only through the release workflow, never by hand. Fridays: no.",
        None,
    ),
    (
        2,
        "Feature flags",
        "When a change is risky or unfinished",
        (
            "Flags are declared in `flags.toml` with an owner and a date. After the date the flag "
            "or the code goes."
        ),
        None,
    ),
    (
        2,
        "Incident log",
        "When production misbehaves",
        (
            "1. Say so in #incidents.\n2. Roll back first, understand later.\n"
            "3. Write down times in UTC while it happens."
        ),
        None,
    ),
)
"""Index of the folder, name, trigger, body, pinned repository."""

PLAYBOOKS = (
    (
        "Fix a failing test",
        "!fixtest",
        (
            "Make one failing test pass for the right reason.\n\n"
            "1. Reproduce it alone, then in the whole suite.\n"
            "2. Find the cause, not the symptom. If it is flaky, find what it waits for.\n"
            "3. Fix it, run the whole suite twice, open a pull request.\n\n"
            "Never skip, retry or loosen the test."
        ),
    ),
    (
        "Upgrade a dependency",
        "!upgrade",
        (
            "One dependency, one pull request.\n\n"
            "1. Read its changelog from our version to the target.\n"
            "2. Upgrade alone, in one commit, lock file included.\n"
            "3. Run all tests; grep for deprecated calls.\n"
            "4. Quote in the pull request what could affect us."
        ),
    ),
    (
        "Write an endpoint",
        "!endpoint",
        (
            "From contract to documentation.\n\n1. Schema first, in `openapi.yaml`.\n"
            "2. Tests next: success, refusal, a stranger's id.\n"
            "3. Then code, then documentation.\n\n"
            "Verify with `make test` and one `curl` in the pull request."
        ),
    ),
    (
        "Triage an issue",
        "!triage",
        (
            "Say what an issue is, without fixing it.\n\n"
            "1. Reproduce it, or say exactly what you tried.\n2. Label: bug, question or wish.\n"
            "3. Say what you found in one paragraph, with file and line."
        ),
    ),
    (
        "Review a pull request",
        "!review",
        (
            "Read as the next engineer.\n\n1. What does it promise, and where is that tested?\n"
            "2. What breaks for callers who do not know of it?\n"
            "3. Comment on lines, not in general. Three findings that matter beat thirty that do "
            "not."
        ),
    ),
    (
        "Remove a feature flag",
        "!unflag",
        (
            "The flag's date has passed.\n\n1. Find every use, tests and configuration included.\n"
            "2. Keep the branch that is on in production.\n"
            "3. Delete the flag from `flags.toml` last.\n\n"
            "The behaviour in production must not change."
        ),
    ),
)
"""Title, macro, body."""

SECRETS = ("NPM_TOKEN", "STAGING_LOGIN")


def sample_organization(clock: SandboxClock, parallel: int) -> Organization:
    """A new organization with the sample data, dated one item a day from a month ago."""
    organization = Organization(clock, parallel)
    first_day = clock.now() - timedelta(days=30)

    def day(number: int) -> str:
        return format_time(first_day + timedelta(days=number))

    author = {"full_name": "Ada Sandbox", "id": "user-sandbox", "image_url": None}
    organization.folders = [
        {"id": f"folder-{name.lower()}", "name": name, "description": "", "created_at": day(0)}
        for name in FOLDERS
    ]
    for number, (folder, name, trigger, body, repository) in enumerate(NOTES, 1):
        note_id = f"note-{number:04d}"
        organization.notes[note_id] = {
            "id": note_id,
            "name": name,
            "body": body,
            "trigger_description": trigger,
            "created_at": day(number),
            "created_by": author,
            "parent_folder_id": organization.folders[folder]["id"],
            "macro": None,
            "pinned_repo": repository,
        }
    for number, (title, macro, body) in enumerate(PLAYBOOKS, 1):
        playbook_id = f"playbook-{number:04d}"
        organization.playbooks[playbook_id] = playbook(playbook_id, title, body, macro, day(number))
    for number, key in enumerate(SECRETS, 1):
        secret_id = f"secret-{number:04d}"
        organization.secrets[secret_id] = {
            "id": secret_id,
            "type": "key-value",
            "key": key,
            "created_at": day(number),
        }
    organization.repositories = sample_repositories(first_day)
    organization.schedules = sample_schedules(clock.now())
    return organization


def playbook(
    playbook_id: str, title: str, body: str, macro: str | None, created_at: str
) -> dict[str, Any]:
    """A playbook as the API returns it."""
    return {
        "playbook_id": playbook_id,
        "title": title,
        "body": body,
        "macro": macro,
        "status": "published",
        "access_type": "org",
        "org_id": "org-sandbox",
        "created_at": created_at,
        "updated_at": created_at,
        "created_by_user_id": "user-sandbox",
        "created_by_user_name": "Ada Sandbox",
        "updated_by_user_id": None,
        "updated_by_user_name": None,
    }
