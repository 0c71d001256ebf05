"""The `pikastack` command: gathers the sub-commands and turns errors into messages and exit statuses."""

import importlib.util
import sys

import click

from pikastack.cli import data as commands_data
from pikastack.cli import evaluate as commands_evaluate
from pikastack.cli import jobs as commands_jobs
from pikastack.cli import models as commands_models
from pikastack.cli.actions import NothingThere
from pikastack.cli.options import root_options
from pikastack.cli.terminal import JobFailed, JobLeft
from pikastack.client import ServiceError
from pikastack.stack.lifecycle import StackError
from pikastack.stack.ports import NoFreePort
from pikastack.stack.state import StateError
from pikastack.typed import command


class _Ordered(click.Group):
    """List commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        return list(self.commands)


@click.group(cls=_Ordered, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pikastack")
@root_options
def pikastack() -> None:
    """Collect pictures, learn which show Pikachu, train a GAN that draws new ones, and serve it.

    A stack is started with `./run up` or `docker compose up --wait` in a clone; --url names one elsewhere.

    \b
    pikastack scrape FOLDER               take pictures in
    pikastack label FOLDER                take labelled pictures in (trains|valids / pikachu|others)
    pikastack train classifier            learn which pictures show Pikachu
    pikastack filter                      choose the Pikachus
    pikastack train gan --minutes 30      learn to draw them
    pikastack generate -n 16 --grid       draw
    """


if importlib.util.find_spec("pika_kit"):  # otherwise only the client is installed, which runs no stack
    from pikastack.cli import demo as demo_command
    from pikastack.cli import stack as commands_stack

    for _command in (
        demo_command.demo,
        commands_stack.up,
        commands_stack.down,
        commands_stack.status,
        commands_stack.logs,
    ):
        pikastack.add_command(_command)

for _command in (
    commands_data.scrape,
    commands_data.label,
    commands_models.train,
    commands_data.filter_pictures,
    commands_models.generate,
    commands_data.is_pikachu,
    commands_data.withdraw,
    commands_models.models,
    commands_evaluate.evaluate,
    commands_jobs.jobs,
):
    pikastack.add_command(_command)


def main() -> None:
    """Run the console script: 0 on success, 1 on failure, 2 on wrong usage, 130 on Ctrl-C."""
    try:
        status = pikastack.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except JobLeft as left:
        _fail(str(left), 130)
    except JobFailed as failed:
        _fail(f"job {failed.view['id']} {failed.view['status']}: {failed}", 1)
    except StackError as error:
        _fail(f"{error}\n{error.log}".rstrip(), 1)
    except (ServiceError, StateError, NoFreePort, NothingThere) as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(message: str, status: int) -> None:
    # Services refer to `pikastack`; the user may have typed something else.
    print(f"pikastack: {message.replace('`pikastack ', f'`{command()} ')}", file=sys.stderr)
    sys.exit(status)
