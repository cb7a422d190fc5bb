"""The shipped parameter sets and how one is chosen."""

from pathlib import Path

from faceanim.config import load_params
from faceanim.errors import FaceanimError
from faceanim.tables import atomic_path


def use_profile(name: str, profiles: Path = Path("profiles"), params: Path = Path("params.yaml")) -> None:
    """Make `params` a copy of the profile of that name, once it has been checked.

    Raises:
        FaceanimError: there is no such profile, or it is not valid.
    """
    source = profiles / f"{name}.yaml"
    known = sorted(path.stem for path in profiles.glob("*.yaml"))
    if name not in known:
        raise FaceanimError(f"no profile is called {name!r}; {profiles}/ has {', '.join(known) or 'none'}")
    load_params(source)
    with atomic_path(params) as temporary:
        temporary.write_bytes(source.read_bytes())
