"""Writes what the documentation takes from the code: `python docs/generate.py`.

docs/parameters.md comes from `faceanim.config` and the profiles, and the table of imports in
docs/architecture.md from the import statements. Both are committed, so that they can be read without building
the site; a test holds them current.
"""

import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import griffe
import grimp
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from faceanim.config import Params, Section

PROJECT = Path(__file__).parent.parent
PARAMETERS = PROJECT / "docs/parameters.md"
ARCHITECTURE = PROJECT / "docs/architecture.md"
BEGIN, END = "<!-- imports: written by docs/generate.py -->\n", "<!-- end -->"
PROFILES = ("sample", "paper", "voxceleb", "rendered")
INTRODUCTION = """# Parameters

<!-- Written by docs/generate.py from faceanim/config and profiles/. -->

All keys of `params.yaml`, by section. A key without a default must be given. The columns of the profiles show
what a profile sets; `·` stands for the default. Unknown keys, wrong types and values out of range are refused
with the key's name (`faceanim check`). To override a key that the file does not show in an experiment, prefix
it with `++`: `dvc exp run -S '++train_animation.engine.compile=true'`.
"""


def write_pages() -> list[Path]:
    """Write the generated parts of the documentation; return the files that changed."""
    architecture = ARCHITECTURE.read_text(encoding="utf-8")
    before, _, rest = architecture.partition(BEGIN)
    after = rest.partition(END)[2]
    pages = {
        PARAMETERS: render_parameters(),
        ARCHITECTURE: f"{before}{BEGIN}\n{render_imports()}\n{END}{after}",
    }
    changed = [path for path, text in pages.items() if read_if_there(path) != text]
    for path in changed:
        path.write_text(pages[path], encoding="utf-8")
    return changed


def read_if_there(path: Path) -> str:
    """Read a text file; an absent one is empty."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def render_parameters() -> str:
    """Render a table for each section of params.yaml."""
    yaml = YAML(typ="safe")
    profiles = {name: yaml.load(PROJECT / f"profiles/{name}.yaml") for name in PROFILES}
    package = griffe.load("faceanim.config", search_paths=[str(PROJECT)])
    tables = [render_section(name, section, package, profiles) for name, section in iter_sections(Params)]
    return "\n".join([INTRODUCTION, *tables])


def iter_sections(model: type[Section], prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Yield the sections below a model with their dotted names, each before those nested in it."""
    for key, field in model.model_fields.items():
        if (section := nested_section(field)) is not None:
            name = prefix + (field.alias or key)
            yield name, section
            yield from iter_sections(section, f"{name}.")


def nested_section(field: FieldInfo) -> type[Section] | None:
    """Return the type of a field that is a nested section; None for other fields."""
    annotation: Any = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def render_section(
    name: str, section: type[Section], package: griffe.Object | griffe.Alias, profiles: Mapping[str, Any]
) -> str:
    """Render the table of a section."""
    documented = package[section.__name__]
    lines = [
        f"## `{name}`",
        "",
        str(documented.docstring.value).strip(),
        "",
        f"| key | default | {' | '.join(PROFILES)} | |",
        "|---|---|" + "---|" * (len(PROFILES) + 1),
    ]
    for key, field in section.model_fields.items():
        if nested_section(field) is None:
            default = "" if field.is_required() else format_value(field.default)
            values = [format_given(look_up(profiles[profile], f"{name}.{key}")) for profile in PROFILES]
            meaning = " ".join(documented[key].docstring.value.split()) + format_choices(field)
            lines.append(f"| `{key}` | {default} | {' | '.join(values)} | {meaning} |")
    return "\n".join(lines) + "\n"


def look_up(values: Any, dotted: str) -> Any:
    """Look up a dotted key in nested mappings; `...` where it is absent."""
    for part in dotted.split("."):
        values = values.get(part, ...) if isinstance(values, dict) else ...
    return values


def format_given(value: Any) -> str:
    """Format the value that a profile gives, or a dot for the default."""
    return "·" if value is ... else format_value(value)


def format_value(value: Any) -> str:
    """Format a value as it is written in YAML."""
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def format_choices(field: FieldInfo) -> str:
    """List the values of an enumerated key."""
    choices = get_args(field.annotation)
    if not choices or not all(isinstance(choice, str | int) for choice in choices):
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in choices)}."


def render_imports() -> str:
    """Render a table of the packages in the order of their layers, with what each imports directly."""
    graph = grimp.build_graph("faceanim", "flows", "stages", cache_dir=None)
    imports = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if package_of(imported) != package_of(module):
                imports[package_of(module)].add(package_of(imported))
    order = list_packages()
    rows = [
        f"| `{name}` | {', '.join(f'`{other}`' for other in order if other in imports[name]) or 'nothing'} |"
        for name in order
    ]
    return "\n".join(["| package or module | imports |", "|---|---|", *rows]) + "\n"


def package_of(module: str) -> str:
    """Name the package or top-level module of `faceanim` that a module belongs to."""
    parts = module.split(".")
    return ".".join(parts[1:2] if parts[0] == "faceanim" else parts[:1]) or "faceanim"


def list_packages() -> list[str]:
    """List packages and modules from the top layer down, as the contracts in pyproject.toml order them."""
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    scripts, library, _ = config["contracts"]
    layers = [*scripts["layers"][:-1], *library["layers"]]
    return [name.strip() for layer in layers for name in layer.split("|")]


if __name__ == "__main__":
    for path in write_pages():
        print(path.relative_to(PROJECT), file=sys.stderr)
