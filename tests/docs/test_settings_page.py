"""docs/settings.md is written from the settings themselves: run this file to write it again."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from broker.settings import BrokerSettings
from model_api.settings import WorkerSettings
from tally.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

INTRODUCTION = """# Settings

Read from the environment once, at start. A value that cannot be used ends the start with a
sentence. Secrets are never logged.

The `tally` command and the Python client read `TALLY_URL`, where the broker is; `TALLY_TOKEN`, for
`/api`; and `TALLY_CID` and `TALLY_KEY`, for [projects](projects.md#start).
"""


def render() -> str:
    shared = set(Settings.model_fields)
    parts = [INTRODUCTION, table("Every process", Settings, set())]
    parts.append(table("Broker", BrokerSettings, shared))
    parts.append(table("Worker and fit worker", WorkerSettings, shared))
    return "\n".join(parts)


def table(title: str, kind: type[BaseSettings], without: set[str]) -> str:
    lines = [f"## {title}", "", "| variable | default | |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        if name in without:
            continue
        default = field.default
        if isinstance(default, SecretStr) or default in (None, ""):
            default = ""
        shown = f"`{default}`" if default != "" else ""
        text = f"{field.description or ''}".replace("|", "\\|")
        lines.append(f"| `TALLY_{name.upper()}` | {shown} | {text} |")
    return "\n".join([*lines, ""])


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == render()


if __name__ == "__main__":
    PAGE.write_text(render())
