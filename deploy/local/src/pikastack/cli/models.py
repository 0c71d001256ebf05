"""`pikastack train`, `generate`, `models`: the two models."""

import json
from pathlib import Path
from typing import Any, TextIO

import click
from rich.markup import escape
from rich.table import Table

from pikastack.cli import actions
from pikastack.cli.describe import clock, describe_card, describe_comparison, describe_job
from pikastack.cli.options import Session, group_options, session_options, wait_option

MODELS = ("classifier", "gan")
SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@click.group()
@group_options
def train() -> None:
    """Train the classifier or the GAN, as a job that survives restarts."""


@train.command("classifier")
@click.option(
    "--preset",
    help="Recipe, such as finetuned: better, for minutes more.  [default: a head on frozen features]",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the whole run.")
@wait_option
@session_options
def train_classifier(session: Session, *, preset: str | None, seed: int | None, wait: bool) -> None:
    """Train the classifier on the labels."""
    answer = session.client.post("/classifier/train", {"preset": preset, "seed": seed})
    view = actions.start_or_run(session, answer, "classifier", wait=wait)
    session.terminal.result(view, escape(describe_job(view)))


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
    """Train the GAN on the pictures the filter chose. Ctrl-C stops watching, not training."""
    request = {"preset": preset, "minutes": minutes, "steps": steps, "seed": seed, "dataset": dataset}
    answer = session.client.post("/gan/train", request)
    view = actions.start_or_run(session, answer, "gan", wait=wait)
    session.terminal.result(view, escape(describe_job(view)))


@click.command()
@click.option(
    "-n", "num_pictures", type=click.IntRange(1, 64), help="How many pictures.  [default: 1, or one a seed]"
)
@click.option("--seed", "--seeds", "seeds", help="Seeds such as 7 (with -n: 7, 8, …) or 0,4-6.")
@click.option(
    "--latents",
    "latents_file",
    type=click.File("r", encoding="utf-8"),
    help="In place of seeds: a JSON file with a list of latents, or - for stdin.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder, or a file for one picture, whose ending tells the format.  [default: the current folder]",
)
@click.option("--grid", is_flag=True, help="All pictures on one sheet.")
@click.option("--format", "kind", type=click.Choice(sorted(set(SUFFIXES.values()))), help="[default: png]")
@click.option("--quality", type=click.IntRange(1, 100), help="Quality of JPEG and WebP.  [default: 90]")
@click.option(
    "--candidates",
    type=click.IntRange(1, 8),
    help="Draw up to this many for each seed until the model's critic accepts one.  [default: 1]",
)
@click.option("--truncation", type=click.FloatRange(0, 2), help="Below 1: more alike, fewer odd ones.")
@click.option(
    "--size",
    type=click.Choice([str(2**power) for power in range(3, 10)]),
    help="Side in pixels.  [default: the model's own]",
)
@click.option("--model-version", help="A version from `models`.  [default: the current one]")
@session_options
def generate(
    session: Session,
    *,
    num_pictures: int | None,
    seeds: str | None,
    latents_file: TextIO | None,
    out: Path | None,
    grid: bool,
    kind: str | None,
    size: str | None,
    **options: Any,
) -> None:
    """Generate pictures and save them."""
    kind = format_of(out, kind)
    # A single seed starts a consecutive range; a list names each picture's seed.
    chosen = {"seed": int(seeds)} if seeds and seeds.isdigit() else {"seeds": seeds}
    request = {
        "n": num_pictures,
        **chosen,
        "latents": None if latents_file is None else read_latents(latents_file),
        "grid": grid or None,
        "format": kind,
        "size": None if size is None else int(size),
        **options,
    }
    pictures = actions.draw(session, request)
    files = save_pictures(pictures, out or Path(), kind, is_sheet=grid)
    result: list[dict[str, Any]] = [
        {"file": str(path), "seeds": picture.seeds} for path, picture in zip(files, pictures, strict=True)
    ]
    lines = [f"{item['file']}{_of_seeds(item['seeds'])}" for item in result]
    session.terminal.result({"pictures": result}, escape("\n".join(lines)))


def format_of(out: Path | None, kind: str | None) -> str:
    """Return the format, from the option or the file's suffix. Raises UsageError if they differ."""
    ending = SUFFIXES.get(out.suffix.lower()) if out is not None and not out.is_dir() else None
    if out is not None and out.suffix and not out.is_dir() and ending is None:
        raise click.UsageError(
            f"--out {out}: expected a folder, or a file that ends in {', '.join(SUFFIXES)}"
        )
    if kind and ending and kind != ending:
        raise click.UsageError(f"--out {out} and --format {kind} differ: expected one of them, or the same")
    return kind or ending or "png"


def read_latents(file: TextIO) -> list[list[float]]:
    """Read one latent, or a list of them, as JSON; POST /project and `return_latents` return some.

    Raises:
        click.UsageError: the file contains something else.
    """
    try:
        content = json.load(file)
    except ValueError as error:
        raise click.UsageError(f"--latents: expected JSON: {error}") from error
    if isinstance(content, dict):  # an unmodified response of POST /project
        content = content.get("latent") or content.get("latents")
    is_one = (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(number, int | float) for number in content)
    )
    rows = [content] if is_one else content
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise click.UsageError("--latents: expected a list of numbers, or a list of such lists")
    return rows


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
    for number, picture in enumerate(pictures, start=1):
        of_one = f"pikachu-{picture.seeds[0]}" if picture.seeds else f"pikachu-latent-{number}"
        name = "sheet" if is_sheet else of_one
        path = out / f"{name}.{suffix}"
        path.write_bytes(picture.data)
        files.append(path)
    return files


def _of_seeds(seeds: list[int]) -> str:
    if not seeds:
        return ""
    told = f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 8 else ",".join(map(str, seeds))
    return f"  seed {told}"


@click.command()
@click.option("--use", nargs=2, metavar="MODEL VERSION", help="Serve this version, such as: gan v3.")
@click.option("--compare", nargs=2, metavar="BASE OTHER", help="Two classifiers side by side: v1 v2.")
@session_options
def models(session: Session, use: tuple[str, str] | None, compare: tuple[str, str] | None) -> None:
    """List trained models, choose the version to serve, or compare two classifiers."""
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
    versions = {name: session.client.get(f"/{name}/models").json() for name in MODELS}
    if session.terminal.as_json:
        session.terminal.result(versions)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "version", "made"):
        table.add_column(title, no_wrap=True)
    table.add_column("figures", ratio=1)
    for name, answer in versions.items():
        for card in answer["models"]:
            is_current = " ✓" if card["version"] == answer.get("current") else ""
            made = clock(card.get("published_at"))
            table.add_row(name, f"{card['version']}{is_current}", made, escape(describe_card(card)))
    session.terminal.out.print(table if table.row_count else "no models yet")
