"""Pages of the site that are written elsewhere: the API's from docstrings, and the project's root documents.

MkDocs calls `on_files` before it builds the site (`hooks` in mkdocs.yml).
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PROJECT = Path(__file__).parent.parent
ROOT_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "DATA.md": "data.md",
    "MODEL_CARD.md": "model-card.md",
    "SECURITY.md": "security.md",
}
TOP_MODULES = [
    "errors",
    "mlflow_address",
    "mlflow_database",
    "progress",
    "schemas",
    "tables",
    "tracking",
    "workers",
    "incremental",
    "viz",
]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for source, page in ROOT_PAGES.items():
        text = (PROJECT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=redirect_links(text)))
    packages = list_packages()
    files.append(File.generated(config, "reference.md", content=render_reference_index(packages)))
    for package, modules in packages.items():
        content = render_reference(package, modules)
        files.append(File.generated(config, f"reference/{package}.md", content=content))
    return files


def redirect_links(text: str) -> str:
    """Point the links of a document in the project's root to pages of the site; drop links to other files."""

    def redirect(match: re.Match[str]) -> str:
        label, target = match.groups()
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return match.group()
        if path.startswith("docs/") or path in ROOT_PAGES:
            page = ROOT_PAGES.get(path, path.removeprefix("docs/"))
            return f"[{label}]({page}{'#' * bool(anchor)}{anchor})"
        return label

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", redirect, text)


def list_packages() -> dict[str, list[str]]:
    """List the packages of the library with the names of their public modules."""
    found = {"faceanim": [f"faceanim.{name}" for name in TOP_MODULES]}
    for folder in sorted(path.parent for path in (PROJECT / "faceanim").glob("*/__init__.py")):
        modules = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
        found[folder.name] = [name_module(path) for path in modules]
    return found


def name_module(path: Path) -> str:
    """Name a module by its path."""
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def render_reference_index(packages: dict[str, list[str]]) -> str:
    """Render the list of the packages."""
    lines = [f"- [`{package}`](reference/{package}.md)" for package in packages]
    return "\n".join(["# API reference", "", "Generated from the docstrings.", "", *lines, ""])


def render_reference(package: str, modules: list[str]) -> str:
    """Render the page of a package: a directive of mkdocstrings for each module."""
    own = (
        []
        if package == "faceanim"
        else [f"::: faceanim.{package}", "    options: {members: false, show_root_heading: false}", ""]
    )
    blocks = [f"::: {module}\n" for module in modules]
    return "\n".join([f"# `{package}`", "", *own, *blocks])
