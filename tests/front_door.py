"""The three services behind the real front door, on real servers, without workers: jobs stay queued."""

import os
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from servers import answers, free_ports, process, service, wait_for

ROOT = Path(__file__).parent.parent
SERVICES = ("scraper", "classifier", "gan")


@contextmanager
def front_door(environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Its URL, once all services are ready."""
    (port,) = free_ports(1)
    with ExitStack() as stack:
        urls = {name: stack.enter_context(service(name, environment, folder)) for name in SERVICES}
        settings = {
            "PIKA_FRONT_SITE": f"http://:{port}",
            "PIKA_FRONT_BIND": "127.0.0.1",
            "PIKA_FRONT_STORAGE": str(folder / "caddy"),
            "PIKA_STUDIO": str(ROOT / "services" / "studio"),
            "XDG_CONFIG_HOME": str(folder / "caddy"),
            "XDG_DATA_HOME": str(folder / "caddy"),
            **{f"PIKA_{name.upper()}": url.removeprefix("http://") for name, url in urls.items()},
        }
        caddy = Path(sysconfig.get_path("scripts")) / "caddy"
        config = ROOT / "deploy" / "caddy" / "Caddyfile"
        command = [str(caddy), "run", "--config", str(config), "--adapter", "caddyfile"]
        stack.enter_context(process(command, folder / "front.log", os.environ | settings))
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{url}/health/ready"), "the front door is ready")
        yield url
