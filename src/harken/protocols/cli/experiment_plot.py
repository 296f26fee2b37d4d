"""The effect of an experiment over time as a PNG or an SVG."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harken.errors import InvalidInput, MissingExtra, Problem, printable

FORMATS = (".png", ".svg")
INCHES = (9.0, 4.5)
MOST_WIDTHS = 6
"""Intervals that are more than this many times as wide as the latest one are cut off."""


def check_plot(file: Path | None) -> None:
    """Raise InvalidInput for a file that is no PNG or SVG, MissingExtra without matplotlib."""
    if file is None:
        return
    if file.suffix.lower() not in FORMATS:
        raise InvalidInput(Problem("--plot", f"{file.name} must end with .png or .svg"))
    if not file.absolute().parent.is_dir():
        raise InvalidInput(Problem("--plot", f"there is no folder {file.absolute().parent}"))
    _figure()


def plot(found: dict[str, Any], file: Path) -> None:
    """Write the primary effect of each arm, with its sequence, to a file that was checked.

    Raises InvalidInput if too few readers are compared, or if the file cannot be written.
    """
    drawn = [each for each in found["comparisons"] if each["role"] == "primary" and each["looks"]]
    if not drawn:
        raise InvalidInput(Problem("--plot", "too few readers are compared; there is no effect"))
    figure = _figure()(figsize=(INCHES[0], INCHES[1] * len(drawn)), layout="constrained")
    for axes, comparison in zip(
        figure.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True
    ):
        _draw(axes, comparison)
        axes.set_title(_title(found, comparison), loc="left", fontsize=10, wrap=True)
    try:
        figure.savefig(file, dpi=150, metadata=_metadata(file, found))
    except OSError as error:
        problem = f"{file.name} cannot be written: {error.strerror}"
        raise InvalidInput(Problem("--plot", problem)) from None


def _figure() -> Any:
    """Return matplotlib's class of figures; raises MissingExtra without it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 — an extra
    except ImportError:
        raise MissingExtra("--plot", "plots") from None
    return Figure


def _draw(axes: Any, comparison: dict[str, Any]) -> None:
    looks = comparison["looks"]
    at = [datetime.fromtimestamp(look["at"], UTC) for look in looks]
    low, high = ([look["sequence"][end] for look in looks] for end in (0, 1))
    axes.fill_between(at, low, high, color="#0e6b5e", alpha=0.15, label="confidence sequence")
    axes.plot(at, [look["effect"] for look in looks], color="#0e6b5e", label="effect")
    axes.axhline(0, color="#211f1b", linewidth=1)
    width = high[-1] - low[-1]
    kept = [n for n in range(len(looks)) if high[n] - low[n] <= MOST_WIDTHS * width]
    bottom, top = min(0, *(low[n] for n in kept)), max(0, *(high[n] for n in kept))
    margin = 0.06 * ((top - bottom) or 1.0)
    axes.set_ylim(bottom - margin, top + margin)
    axes.set_ylabel(_safe(f"{comparison['arm']} minus {comparison['control']}"))
    axes.tick_params(axis="x", rotation=20)
    axes.grid(color="#e3ded3", linewidth=0.6)
    axes.legend(frameon=False, fontsize=9)


def _title(found: dict[str, Any], comparison: dict[str, Any]) -> str:
    verdict = found["verdicts"].get(comparison["arm"], {}).get("text", "")
    return _safe(f"{found['id']}, version {found['version']}. {verdict}")


def _safe(text: str) -> str:
    """Return a text that matplotlib does not take for a formula."""
    return printable(text).replace("$", r"\$")


def _metadata(file: Path, found: dict[str, Any]) -> dict[str, str | None]:
    title = f"{found['id']}, version {found['version']}"
    return {"Title": title, "Date": None} if file.suffix.lower() == ".svg" else {"Title": title}
