"""How a guest's definitions differ: what it runs with, what its next start takes, what the service keeps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from vmsvc.core.answers import DefinitionFields

#: The forms of a definition, as they are shown.
LIVE, PERSISTENT, KEPT = "live", "persistent", "kept"

#: What stands for a value that is never shown.
MASK = "(secret)"
#: What stands for a whole of which nothing more is said.
_THERE = "yes"


@frozen(kw_only=True)
class Difference:
    """A field that is not the same in all forms of a definition.

    Attributes:
        field: The field, in the words of the driver.
        values: What each form says, by form; ``None`` where it has no such field. Secrets are masked: that they
            differ is all there is to know.
    """

    field: str
    values: Mapping[str, str | None]


def differences(forms: Mapping[str, DefinitionFields]) -> tuple[Difference, ...]:
    """Compare the forms of a definition, field by field.

    Args:
        forms: What each of them says, by form.

    Returns:
        The fields that differ, in the order in which the forms have them. A whole that one of them lacks, such as a
        disk, is one difference, with its parts as its value.
    """
    fields = dict.fromkeys(name for form in forms.values() for name in form.values)
    lacking = {name for name in fields if any(name not in form.values for form in forms.values())}
    return tuple(
        Difference(
            field=name,
            values={form: _shown(said, name, as_whole=name in lacking) for form, said in forms.items()},
        )
        for name in fields
        if len({form.values.get(name) for form in forms.values()}) > 1
        and not any(name.startswith(f"{whole}/") for whole in lacking)
    )


def _shown(form: DefinitionFields, name: str, *, as_whole: bool) -> str | None:
    """What a form says of a field; of a whole that another one lacks, what it says of its parts, too."""
    if name not in form.values:
        return None
    parts = ", ".join(_parts(form, name)) if as_whole else ""
    return ": ".join(filter(None, (_masked(form, name), parts))) or _THERE


def _parts(form: DefinitionFields, name: str) -> Iterator[str]:
    for part, value in form.values.items():
        if part.startswith(f"{name}/") and value:
            yield f"{part.removeprefix(f'{name}/')} {_masked(form, part)}"


def _masked(form: DefinitionFields, name: str) -> str:
    return MASK if name in form.secret else form.values[name]
