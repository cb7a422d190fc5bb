"""What every section of the parameters is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

UnitInterval = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """What every section shares: no unknown keys, no coercion, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def format_validation_error(error: ValidationError) -> str:
    """All of a validation error's complaints in one line, each with the key's dotted name."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'params'}: {item['msg']}" for item in error.errors()
    )
