"""`pikastack demo`: start the stack, find or draw pictures, run the whole pipeline, and report."""

import json
import os
import shutil
import time
from pathlib import Path

import click
from rich.markdown import Markdown

from pikastack.cli.options import Session, stack_options
from pikastack.cli.stack import start
from pikastack.cli.terminal import Terminal
from pikastack.client import Client
from pikastack.demo import report as demo_report
from pikastack.demo.results import Results
from pikastack.demo.way import Demo, Sources
from pikastack.stack import lifecycle as stack
from pikastack.stack.state import DEFAULT_STATE, StateFolder

NUM_PIKACHU = 700
NUM_OTHERS = 500
NUM_TRAINS = 60
"""Labelled pictures of each class to learn from, and to judge by:"""
NUM_VALIDS = 30
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--pictures", type=_FOLDER, help="A folder of mixed pictures.  [default: the project draws some]"
)
@click.option(
    "--labels", type=_FOLDER, help="A folder trains|valids / pikachu|others.  [goes with --pictures]"
)
@click.option(
    "--minutes", type=click.FloatRange(0.1), default=10.0, show_default=True, help="How long the GAN trains."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the new pictures and the report go.",
)
@click.option("--seed", default=0, show_default=True, help="Of the pictures that the project draws.")
@click.option("--num-pikachu", default=NUM_PIKACHU, show_default=True, help="How many of these show Pikachu.")
@click.option("--num-others", default=NUM_OTHERS, show_default=True, help="How many do not.")
@click.option("--port", type=click.IntRange(1, 65_535), envvar="PIKASTACK_PORT", help="Port of the gateway.")
@click.option("--api-key", envvar="PIKA_API_KEY", help="Where the stack was started with keys.")
@stack_options
def demo(
    state: StateFolder,
    terminal: Terminal,
    *,
    pictures: Path | None,
    labels: Path | None,
    minutes: float,
    out: Path | None,
    seed: int,
    num_pikachu: int,
    num_others: int,
    port: int | None,
    api_key: str | None,
) -> None:
    """Run the whole pipeline, from a pile of pictures to the GAN's own, in 13 to 16 minutes on two cores.

    The services keep running afterwards. An interrupted demo continues when started again.
    """
    if (pictures is None) != (labels is None):
        raise click.UsageError("--pictures and --labels go together; without both the project draws its own")
    began = time.monotonic()
    description = "drawn" if pictures is None else str(pictures.resolve())
    state, session = _stack_for(
        state, terminal, description=description, pictures=pictures, port=port, api_key=api_key
    )
    if pictures is None or labels is None:
        sources = draw_sources(state, terminal, seed, num_pikachu, num_others)
    else:
        sources = Sources(pictures, labels, is_drawn=False)
    (state.demo / "source.json").write_text(json.dumps({"source": description}))
    folder = (out or state.demo / "out").absolute()
    results = Demo(session, state, sources, folder, minutes).run()
    results.seconds["all"] = round(time.monotonic() - began, 1)
    _tell(terminal, results, folder, state)


def _stack_for(
    state: StateFolder,
    terminal: Terminal,
    *,
    description: str,
    pictures: Path | None,
    port: int | None,
    api_key: str | None,
) -> tuple[StateFolder, Session]:
    """Return a running stack that contains only this demo's pictures."""
    for candidate in (state, StateFolder(state.root / f"demo-of-{Path(description).name}")):
        # A folder that the scraper may not read is uploaded instead.
        roots = (pictures.resolve(),) if pictures and stack.may_be_scraped(candidate, pictures) else ()
        running, _ = start(candidate, terminal, port, roots)
        session = Session(Client(running["url"], api_key), terminal, running)
        num_pictures = session.client.get("/buckets").json()["buckets"]["raw"]
        if not num_pictures or _source_of(candidate) == description:
            candidate.demo.mkdir(exist_ok=True)
            return candidate, session
        terminal.say(
            f"[yellow]The stack on {candidate.root} holds {num_pictures} other pictures, from which the GAN "
            f"would learn too: this demo gets a stack of its own[/]"
        )
    raise click.ClickException(f"{candidate.root} holds other pictures too; name a new folder with --state")


def _source_of(state: StateFolder) -> str | None:
    try:
        source: str = json.loads((state.demo / "source.json").read_text())["source"]
    except FileNotFoundError:
        return None
    return source


def draw_sources(
    state: StateFolder, terminal: Terminal, seed: int, num_pikachu: int, num_others: int
) -> Sources:
    """Draw the collection and the labels, unless an earlier demo has drawn the same ones."""
    from pika_drawings import write_collection, write_labels

    pictures, labels = state.demo_pictures, state.demo / "labels"
    done = state.demo / "drawn.json"
    wanted = json.dumps({"seed": seed, "num_pikachu": num_pikachu, "num_others": num_others})
    if not done.exists() or done.read_text() != wanted:
        for folder in (pictures, labels):
            shutil.rmtree(folder, ignore_errors=True)
        terminal.say(f"drawing {num_pikachu + num_others} pictures and the labelled ones")
        with terminal.err.status("drawing pictures") as line:

            def progress(num_done: int, total: int) -> None:
                line.update(f"drawing pictures: {num_done} of {total}")

            processes = min(4, os.cpu_count() or 1)
            write_collection(
                pictures,
                num_pikachu=num_pikachu,
                num_others=num_others,
                seed=seed,
                progress=progress,
                processes=processes,
            )
            write_labels(labels, num_trains=NUM_TRAINS, num_valids=NUM_VALIDS, seed=seed, processes=processes)
        done.write_text(wanted)
    terminal.say(f"pictures drawn by the project itself: {pictures}")
    return Sources(pictures, labels, is_drawn=True)


def _tell(terminal: Terminal, results: Results, folder: Path, state: StateFolder) -> None:
    run = "./run" if state.root == DEFAULT_STATE else f"PIKASTACK_STATE='{state.root}' ./run"
    text = demo_report.as_markdown(results, run)
    folder.mkdir(parents=True, exist_ok=True)
    report = results.to_json()
    (folder / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    (folder / "report.md").write_text(f"# Demo\n\n{text}")
    terminal.result({**report, "out": str(folder)})
    if terminal.as_json:
        return
    terminal.out.print(Markdown(text.partition(demo_report.NEXT)[0]))
    # Unwrapped, so that they can be copied.
    lines = demo_report.commands(results, run).splitlines()[1:-1]
    terminal.out.print("\n" + "\n".join(lines), soft_wrap=True, markup=False)
    terminal.result(
        None,
        f"\n[bold green]The services keep running[/]: {results.url}/generate, {results.url}/is-pikachu\n"
        f"Pictures and this report: [bold]{folder}[/]\nStop with: [bold]{run} down[/]",
    )
