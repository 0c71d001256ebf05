"""Gunicorn's log in the format of `logs`, with request ids."""

from typing import Any

from flask import g, has_request_context
from gunicorn.glogging import Logger

from pika_kit.logs import JsonFormatter, configure

_HEALTH = "/health/"


def _of_the_request() -> dict[str, str]:
    return {"request_id": g.request_id} if has_request_context() and "request_id" in g else {}


class GunicornLogger(Logger):
    """Gunicorn's logger in our format: one line per request, except successful health checks."""

    def setup(self, cfg: Any) -> None:
        """Configure handlers; gunicorn calls this at start."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            for handler in logger.handlers:
                handler.setFormatter(JsonFormatter(_of_the_request))
        configure(_of_the_request)  # the services' own loggers

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:  # noqa: ARG002
        """Log one request."""
        path, status = environ.get("PATH_INFO", ""), int(str(resp.status).split(" ", 1)[0])
        if _HEALTH in path and status < 400:
            return
        fields = {
            "request_id": dict(resp.headers).get("X-Request-Id"),
            "method": environ.get("REQUEST_METHOD"),
            "path": path,
            "status": status,
            "num_bytes": getattr(resp, "sent", None),
            "milliseconds": round(request_time.total_seconds() * 1000),
        }
        self.access_log.info("%s %s %s", fields["method"], path, status, extra={"fields": fields})
