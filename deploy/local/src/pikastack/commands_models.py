"""`pikastack train`, `generate`, `models`: the two models."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from pikastack import actions
from pikastack.commands_data import describe_job, wait_option
from pikastack.options import Session, session_options

MODELS = ("classifier", "gan")


@click.group()
def train() -> None:
    """Train the classifier or the GAN, as a job that survives restarts."""


@train.command("classifier")
@wait_option
@session_options
def train_classifier(session: Session, wait: bool) -> None:
    """Learn from the labels which pictures show Pikachu."""
    view = actions.start_or_run(
        session, session.client.post("/classifier/train", {}), "classifier", wait=wait
    )
    session.terminal.result(view, describe_job(view))


@train.command("gan")
@click.option("--preset", help="Recipe, such as cpu-32 or article.  [default: cpu-64]")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="Train this long.  [default: the recipe's]"
)
@click.option("--steps", type=click.IntRange(1), help="Train so many steps.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the whole run.")
@click.option(
    "--dataset", help="A data set, name/v2 or the latest of a name.  [default: all that was chosen]"
)
@wait_option
@session_options
def train_gan(
    session: Session,
    *,
    preset: str | None,
    minutes: float | None,
    steps: int | None,
    seed: int | None,
    dataset: str | None,
    wait: bool,
) -> None:
    """Learn to draw what the filter chose. Ctrl-C stops watching, not training."""
    request = {"preset": preset, "minutes": minutes, "steps": steps, "seed": seed, "dataset": dataset}
    answer = session.client.post("/gan/train", request)
    view = actions.start_or_run(session, answer, "gan", wait=wait)
    session.terminal.result(view, describe_job(view))


@click.command()
@click.option(
    "-n", "num_pictures", type=click.IntRange(1, 64), help="How many pictures.  [default: 1, or one a seed]"
)
@click.option("--seed", "--seeds", "seeds", help="Seeds such as 7 (with -n: 7, 8, …) or 0,4-6.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder, or a file for one picture.  [default: the current folder]",
)
@click.option("--grid", is_flag=True, help="All pictures on one sheet.")
@click.option(
    "--format", "kind", type=click.Choice(["png", "jpeg", "webp"]), default="png", show_default=True
)
@click.option("--truncation", type=click.FloatRange(0, 1), help="Below 1: more alike, fewer odd ones.")
@click.option("--size", type=click.IntRange(8, 1024), help="Side in pixels.  [default: the model's own]")
@click.option("--model-version", help="A version from `pikastack models`.  [default: the current one]")
@session_options
def generate(
    session: Session,
    *,
    num_pictures: int | None,
    seeds: str | None,
    out: Path | None,
    grid: bool,
    kind: str,
    **options: Any,
) -> None:
    """Draw pictures and save them."""
    # One seed is where a row of pictures begins; a list names each picture's own.
    chosen = {"seed": int(seeds)} if seeds and seeds.isdigit() else {"seeds": seeds}
    request = {"n": num_pictures, **chosen, "grid": grid or None, "format": kind, **options}
    pictures = actions.draw(session, request)
    files = save_pictures(pictures, out or Path(), kind, is_sheet=grid)
    result: list[dict[str, Any]] = [
        {"file": str(path), "seeds": picture.seeds} for path, picture in zip(files, pictures, strict=True)
    ]
    lines = [f"{item['file']}  seed {_short(item['seeds'])}" for item in result]
    session.terminal.result({"pictures": result}, "\n".join(lines))


def save_pictures(
    pictures: list[actions.Picture], out: Path, kind: str, *, is_sheet: bool = False
) -> list[Path]:
    """Write pictures into the folder `out`, named by seed, or a single one to the file `out`."""
    if out.suffix and not out.is_dir():
        if len(pictures) != 1:
            raise click.BadParameter(f"expected a folder for {len(pictures)} pictures; received {str(out)!r}")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(pictures[0].data)
        return [out]
    out.mkdir(parents=True, exist_ok=True)
    suffix = "jpg" if kind == "jpeg" else kind
    files = []
    for picture in pictures:
        name = "sheet" if is_sheet else f"pikachu-{picture.seeds[0]}"
        path = out / f"{name}.{suffix}"
        path.write_bytes(picture.data)
        files.append(path)
    return files


def describe_comparison(answer: dict[str, Any]) -> str:
    """Two versions' figures in a few lines, and whether the labels tell them apart."""
    lines = []
    for card in (answer["base"], answer["other"]):
        told = card["validation"]
        figures = ", ".join(
            f"{title} {told[name]:.3f} ({told[f'{name}_interval'][0]:.3f}–{told[f'{name}_interval'][1]:.3f})"
            for name, title in (("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC"))
            if told.get(f"{name}_interval")
        )
        lines.append(f"{card['version']} ({card['preset']}): {figures}")
    for name, title in (("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC")):
        found = answer["difference"][name]
        if found is None:
            continue
        low, high = found["interval"]
        verdict = "a clear difference" if found["is_clear"] else "the labels do not tell them apart"
        lines.append(f"{title}: {found['value']:+.3f} ({low:+.3f} to {high:+.3f}), {verdict}")
    seen = answer["pictures"]
    lines.append(
        f"{answer['labels_in_common']} labels in common. Of {seen['in_common']} pictures both accept "
        f"{seen['accepted_by_both']}"
    )
    return "\n".join(lines)


def _short(seeds: list[int]) -> str:
    return f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 8 else ",".join(map(str, seeds))


@click.command()
@click.option("--use", nargs=2, metavar="MODEL VERSION", help="Make this version the current one: gan v3.")
@click.option("--compare", nargs=2, metavar="BASE OTHER", help="Two classifiers side by side: v1 v2.")
@session_options
def models(session: Session, use: tuple[str, str] | None, compare: tuple[str, str] | None) -> None:
    """List the trained models, choose which version is served, or compare two classifiers."""
    if compare:
        base, other = compare
        answer = session.client.get(f"/classifier/models/comparison?base={base}&other={other}").json()
        session.terminal.result(answer, describe_comparison(answer))
        return
    if use:
        name, version = use
        if name not in MODELS:
            raise click.BadParameter(
                f"expected one of {', '.join(MODELS)}; received {name!r}", param_hint="--use"
            )
        answer = session.client.put(f"/{name}/models/current", {"version": version}).json()
        session.terminal.result(answer, f"{name}: {version} is the current version")
        return
    found = {name: session.client.get(f"/{name}/models").json() for name in MODELS}
    if session.terminal.as_json:
        session.terminal.result(found)
        return
    table = Table("model", "version", "current", "made")
    for name, answer in found.items():
        for card in answer["models"]:
            is_current = "✓" if card["version"] == answer.get("current") else ""
            table.add_row(name, card["version"], is_current, str(card.get("published_at", "")))
    session.terminal.out.print(table)
