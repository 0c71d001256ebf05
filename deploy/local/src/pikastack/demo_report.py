"""The demo's report, for people: report.md, and the same on the terminal."""

from typing import Any

NEXT = "## The services keep running"


def as_markdown(report: dict[str, Any], run: str = "./run") -> str:
    """The report as text; `run` is the command that the reader has, with the options it needs."""
    parts = (
        _pictures(report),
        _classifier(report),
        _gan(report),
        _asked(report),
        NEXT,
        commands(report, run),
    )
    return "\n\n".join(parts) + "\n"


def _pictures(report: dict[str, Any]) -> str:
    intake, prepared = report["intake"], report["prepared"]
    lines = [
        "## Pictures",
        "",
        f"- {intake['looked_at']} files: {intake['taken']} taken, {intake['already_there']} there before",
        f"- refused: {intake['refused'] + prepared['refused']}{_reasons(intake, prepared)}",
        f"- duplicates: {intake['exact_duplicates']} byte for byte, {report['near_duplicates']} near",
        f"- ready to use: {report['buckets']['images']}",
        f"- judged Pikachu: {report['filter']['chosen']} at a threshold of {report['filter']['threshold']}",
    ]
    if report["filter"]["threshold"] != report["default_threshold"]:
        lines.append(
            f"- **the threshold was lowered**: at {report['default_threshold']} there were only "
            f"{report['chosen_at_default']}"
        )
    return "\n".join(lines)


def _reasons(*reports: dict[str, Any]) -> str:
    reasons: dict[str, int] = {}
    for report in reports:
        for reason, count in report["refused_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    return f" ({', '.join(f'{reason}: {count}' for reason, count in reasons.items())})" if reasons else ""


def _classifier(report: dict[str, Any]) -> str:
    result = report["classifier"]
    labels = "; ".join(
        f"{split}: " + ", ".join(f"{count} {label}" for label, count in counts.items())
        for split, counts in report["labels"].items()
    )
    lines = [
        "## Classifier, on the validation labels",
        "",
        f"- labels: {labels}",
        f"- ROC AUC {result['roc_auc']:.4f}, PR AUC {result['pr_auc']:.4f}, "
        f"calibration error {result['validation']['calibration_error']:.3f}",
        "",
        "| threshold | accuracy | precision | recall |",
        "| --- | --- | --- | --- |",
    ]
    for at in result["validation"]["at_thresholds"]:
        figures = [_figure(at[name]) for name in ("threshold", "accuracy", "precision", "recall")]
        lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _gan(report: dict[str, Any]) -> str:
    result = report["gan"]
    interval = "–".join(f"{1000 * value:.0f}" for value in result["kid_interval"] or ())
    lines = [
        "## GAN",
        "",
        f"- {result['steps']} steps in {result['minutes']} minutes on {result['num_pictures']} pictures",
        f"- KID × 1000 against pictures it never saw: {1000 * result['kid']:.0f}"
        + (f" (95 %: {interval})" if interval else ""),
        f"- diversity: {result['diversity']:.2f} of the training pictures'; collapsed: "
        + ("**yes**" if result["collapsed"] else "no"),
        f"- near copies of training pictures: {100 * result['near_copy_rate']:.1f} %",
        *(f"- **warning**: {warning}" for warning in result["warnings"]),
        "",
        "## Files",
        "",
        *(f"- {name}: {path}" for name, path in report["files"].items()),
        "",
        "Seconds: " + ", ".join(f"{name} {value:g}" for name, value in report["seconds"].items()),
    ]
    return "\n".join(lines)


def _asked(report: dict[str, Any]) -> str:
    lines = ["## What the classifier says", "", "| picture | Pikachu? | probability |", "| --- | --- | --- |"]
    for answer in report["asked"]:
        verdict = "yes" if answer.get("is_pikachu") else "no"
        probability = f"{answer['probability']:.4f}" if "probability" in answer else answer.get("title", "")
        lines.append(f"| {answer['file']} | {verdict} | {probability} |")
    return "\n".join(lines)


def commands(report: dict[str, Any], run: str) -> str:
    """Lines to copy."""
    url = report["url"]
    some_file = next(path for name, path in report["files"].items() if name.startswith("seed"))
    lines = (
        f"curl -o pikachu.png '{url}/generate?seed=7&size=256'",
        f"curl -o sheet.png '{url}/generate?n=25&seed=7&grid=true'",
        f"curl --data-binary @'{some_file}' {url}/is-pikachu",
        f"{run} generate -n 16 --grid --out sheet.png",
        f"{run} status",
        f"{run} down          # stops everything; pictures and models stay",
    )
    return "\n".join(("```sh", *lines, "```"))
