"""Check in tests of views that responses match the service's own OpenAPI document."""

import re

import jsonschema_rs
from flask import request

_PLAIN = ("application/json", "application/problem+json")


def install(app) -> None:
    """Check every response of `app`, a service's application, that its document describes.

    A response with another status, type or shape than documented fails the test that requested it.
    """
    app.config["PROPAGATE_EXCEPTIONS"] = True  # otherwise Flask turns what is raised below into a 500
    document = app.api_doc
    validators = {}

    @app.after_request
    def check(response):
        if request.url_rule is None:
            return response
        path = re.sub(r"<(?:[^<:]+:)?([^<>]+)>", r"{\1}", request.url_rule.rule)
        method = "get" if request.method == "HEAD" else request.method.lower()
        operation = document["paths"].get(path, {}).get(method)
        # 500 is not documented; tests that provoke one check it themselves.
        if operation is None or response.status_code in (304, 500):
            return response
        what = f"{request.method} {path}: {response.status_code}"
        answers = operation["responses"]
        assert str(response.status_code) in answers, f"{what} is not in the document: {response.data[:300]}"
        answer = answers[str(response.status_code)]
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
        content = answer.get("content", {})
        assert not content or response.mimetype in content, (
            f"{what} {response.mimetype} is not in the document"
        )
        if response.mimetype in _PLAIN and "schema" in content.get(response.mimetype, {}):
            key = (path, method, response.status_code)
            if key not in validators:
                schema = content[response.mimetype]["schema"] | {"components": document["components"]}
                validators[key] = jsonschema_rs.validator_for(schema)
            for error in validators[key].iter_errors(response.get_json()):
                raise AssertionError(f"{what} does not fit the document: {error}")
        return response
