"""Labels over HTTP: set, import, undo, list, and suggest which pictures to label next."""

import tempfile
from dataclasses import asdict
from typing import Any

from flask import Response, current_app, jsonify, request, send_file
from flask_openapi3 import Tag

from pika_classifier.http.answers import (
    DisagreementsAnswer,
    ImportAnswer,
    LabelListAnswer,
    LabelsAddedAnswer,
    NextLabelsAnswer,
    RemovedAnswer,
    RestoredAnswer,
    UndoneAnswer,
)
from pika_classifier.http.ask import PREDICTOR
from pika_classifier.http.schemas import (
    AnnotatorQuery,
    ImportQuery,
    LabelListQuery,
    LabelsRequest,
    NextQuery,
    RestoreRequest,
)
from pika_classifier.labels.archive import export_zip, import_zip
from pika_classifier.labels.leases import Leases
from pika_classifier.labels.log import (
    Label,
    LabelSet,
    NothingToUndo,
    NotUndone,
    UnknownEntry,
    UnknownPictures,
    counts,
)
from pika_classifier.labels.queue import choose_audit, choose_next
from pika_classifier.serve.predictor import Predictor, default_threshold
from pika_kit.contract import answers, api_blueprint, form_with, media
from pika_kit.gates import Gate
from pika_kit.model_views import no_model_problem
from pika_kit.models import NoModel
from pika_kit.pictures import PictureBucket
from pika_kit.received import check_form
from pika_kit.service import Problem, state
from pika_kit.stages import Bucket
from pika_kit.withdrawn import remove, withdrawn_ids
from pika_kit.zips import BadZip

LABEL_SET = "PIKA_LABELS"
_LEASE_ROUNDS = 5
_IMPORTING = Gate("imports of labels", at_once=1)  # each is completely in memory
_TAG = Tag(name="labels", description="Which pictures show Pikachu, said by hand")

label_blueprint = api_blueprint("labels", __name__, _TAG)


def _labels() -> LabelSet:
    label_set: LabelSet = current_app.config[LABEL_SET]
    return label_set


@label_blueprint.post("/labels", responses=answers(LabelsAddedAnswer, status=201))
def add_labels(body: LabelsRequest) -> tuple[Response, int]:
    """Label pictures in the bucket images; the latest label of a picture counts."""
    given = [Label(item.id, item.label, item.split, item.why) for item in body.labels]
    try:
        entry = _labels().add(given, body.annotator)
    except UnknownPictures as error:
        raise Problem(
            422,
            "pictures-unknown",
            "Unknown pictures",
            f"{len(error.ids)} of the ids are not in the images bucket; nothing was labelled.",
            expected="ids from GET /labels/next or GET /images",
            received=error.ids[:20],
        ) from None
    current = _labels().current()
    return jsonify({"entry": entry, "labels": [asdict(label) for label in given], **counts(current)}), 201


_BINARY = {"type": "string", "format": "binary"}
_ZIP_BODY = {
    "required": True,
    "content": {
        "application/zip": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": {"schema": form_with(_BINARY)},
    },
}


@label_blueprint.post(
    "/labels/import",
    responses=answers(ImportAnswer, 429),
    openapi_extensions={"requestBody": _ZIP_BODY},
)
def import_labels(query: ImportQuery) -> Response:
    """Import a labelled folder.

    Send a zip laid out as trains|valids / pikachu|others, as the request body or as a form file. The response
    counts what was imported and names every rejected file with the reason.
    """
    with _IMPORTING:
        return _import(query)


def _import(query: ImportQuery) -> Response:
    files: list[Any] = []
    if request.mimetype == "multipart/form-data":
        check_form(request)
        files = request.files.getlist("file")
        if len(files) != 1:
            raise _not_a_zip(f"expected one zip, received {len(files)} files")
    data = files[0].stream.read() if files else request.get_data(parse_form_data=False)
    try:
        report = import_zip(data, _labels(), query.annotator, query.unit)
    except BadZip as error:
        raise _not_a_zip(str(error)) from error
    return jsonify(report.to_json())


def _not_a_zip(detail: str) -> Problem:
    return Problem(
        422,
        "zip-unreadable",
        "The zip cannot be read",
        detail,
        expected="a zip of trains|valids/pikachu|others/FILE",
    )


@label_blueprint.delete("/labels/last", responses=answers(UndoneAnswer, 409))
def undo_last(query: AnnotatorQuery) -> Response:
    """Undo the annotator's own last labels; an import is undone as a whole."""
    try:
        undone = _labels().undo(query.annotator)
    except NothingToUndo as error:
        raise Problem(409, "nothing-to-undo", "Nothing to take back", f"{error}.") from None
    return jsonify({"undone": undone, **counts(_labels().current())})


@label_blueprint.post("/labels/restore", responses=answers(RestoredAnswer, 404, 409))
def restore_labels(body: RestoreRequest) -> Response:
    """Restore labels that were undone."""
    try:
        restored = _labels().restore(body.entry, body.annotator)
    except UnknownEntry:
        raise Problem(404, "entry-unknown", "Unknown entry", f"There is no entry {body.entry!r}.") from None
    except NotUndone as error:
        raise Problem(409, "nothing-to-restore", "Nothing to restore", f"{error}.") from None
    return jsonify({"restored": restored, **counts(_labels().current())})


@label_blueprint.post("/labels/withdrawn", responses=answers(RemovedAnswer))
def remove_withdrawn() -> Response:
    """Remove withdrawn pictures from the labelled set and the bucket pikachu.

    Training and filter jobs do this by themselves; call it to do it immediately.
    """
    store = state().store
    chosen = PictureBucket(store, Bucket.PIKACHU)
    return jsonify(
        {
            "removed_from": {
                "labels": _labels().remove_withdrawn(),
                "pikachu": remove(chosen, withdrawn_ids(store)),
            }
        }
    )


@label_blueprint.get("/labels", responses=answers(LabelListAnswer))
def list_labels(query: LabelListQuery) -> Response:
    """List labels by picture id, with counts."""
    current = _labels().current()
    ids = sorted(picture_id for picture_id in current if picture_id > query.cursor)
    page = ids[: query.limit]
    body: dict[str, Any] = {
        **counts(current),
        "total": len(current),
        "items": [{"id": picture_id, **current[picture_id]} for picture_id in page],
        "next_cursor": page[-1] if page and len(ids) > len(page) else None,
    }
    return jsonify(body)


@label_blueprint.get("/labels/next", responses=answers(NextLabelsAnswer, 503))
def next_labels(query: NextQuery) -> Response:
    """Suggest pictures to label next: those the current model is least sure of, and every fourth at random.

    With `mode=audit`, random pictures among those the model accepts. Their labels, sent with `why`, certify
    the precision of the next filter.
    """
    try:
        predictor = current_app.config[PREDICTOR].get()
    except NoModel:
        predictor = None
    labelled = _labels().current()
    if query.annotator is None:
        return jsonify(_choose(query, predictor, set(labelled)))
    leases = Leases(state().store)
    # A concurrent request may lease some of them first; then look for others, a few times.
    taken, chosen = set(labelled) | leases.held(), None
    pictures: list[dict[str, Any]] = []
    for _ in range(_LEASE_ROUNDS):
        chosen = _choose(query, predictor, taken)
        wanted = chosen["pictures"][: query.count - len(pictures)]
        ours = leases.take([picture["id"] for picture in wanted], query.annotator)
        pictures += [picture for picture in wanted if picture["id"] in ours]
        taken |= {picture["id"] for picture in wanted}
        if len(pictures) == query.count or not wanted:
            break
    return jsonify({**(chosen or {}), "pictures": pictures})


def _choose(query: NextQuery, predictor: Predictor | None, without: set[str]) -> dict[str, Any]:
    labelled = dict.fromkeys(without)
    if query.mode == "audit":
        if predictor is None:
            raise no_model_problem("classifier", "train one, then audit what it accepts.")
        threshold = query.threshold or default_threshold(state().settings, predictor)
        return choose_audit(
            state().store, labelled, predictor, query.count, seed=query.seed, threshold=threshold
        )
    return choose_next(state().store, labelled, predictor, query.count, query.seed)


@label_blueprint.get("/labels/disagreements", responses=answers(DisagreementsAnswer))
def list_disagreements() -> Response:
    """List pictures that annotators have labelled differently; the latest label counts."""
    return jsonify({"pictures": _labels().disagreements()})


@label_blueprint.get("/labels/export", responses=answers(media("application/zip")))
def export_labels() -> Response:
    """Download all labelled pictures as a zip, in the layout that the import expects."""
    state().settings.state_dir.mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=state().settings.state_dir)  # noqa: SIM115 — the answer closes it
    try:
        export_zip(_labels(), file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return send_file(file, mimetype="application/zip", as_attachment=True, download_name="labels.zip")
