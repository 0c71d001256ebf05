"""The demo's report for people: report.md, and the same on the terminal."""

from typing import Any

from pikastack.demo.results import ClassifierRun, GanRun, Intake, Results

NEXT = "## The services keep running"


def as_markdown(results: Results, run: str = "./run") -> str:
    """Return the report as text; `run` is the user's command with the options it needs."""
    parts = [*_shortfalls(results)]
    if results.intake:
        parts.append(_pictures(results, results.intake))
    if results.classifier:
        parts.append(_classifier(results, results.classifier))
    if results.gan:
        parts.append(_gan(results, results.gan))
    if results.verdicts and results.classifier:
        parts.append(_verdicts(results, results.classifier))
    return "\n\n".join([*parts, NEXT, commands(results, run)]) + "\n"


def _shortfalls(results: Results) -> list[str]:
    if not results.shortfalls:
        return []
    lines = [f"- {text}" for text in results.shortfalls]
    return ["\n".join(["## What could not be done with these pictures", "", *lines])]


def _pictures(results: Results, intake: Intake) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in intake.refused_by_reason.items())
    lines = [
        "## Pictures",
        "",
        f"- {intake.looked_at} files: {intake.taken} taken, {intake.already_there} there before",
        f"- refused: {intake.refused}{f' ({reasons})' if reasons else ''}",
        f"- duplicates: {intake.exact_duplicates} byte for byte, {intake.near_duplicates} near",
        f"- ready to use: {intake.ready}",
    ]
    if results.choice and results.at_recommended:
        choice, recommended = results.choice, results.at_recommended
        lines.append(f"- judged Pikachu: {choice.chosen} at a threshold of {choice.threshold:.3g}")
        if choice != recommended:
            lines.append(
                f"- **the threshold was lowered**: at {recommended.threshold:.3g}, which the model's card "
                f"recommends, there were only {recommended.chosen}"
            )
    return "\n".join(lines)


def _classifier(results: Results, classifier: ClassifierRun) -> str:
    labels = "; ".join(
        f"{split}: " + ", ".join(f"{count} {label}" for label, count in counts.items())
        for split, counts in results.labels.items()
    )
    lines = [
        "## Classifier, on the validation labels",
        "",
        f"- labels: {labels}",
        f"- ROC AUC {_figure(classifier.roc_auc)}, PR AUC {_figure(classifier.pr_auc)}, "
        f"calibration error {_figure(classifier.calibration_error)}",
        f"- recommended threshold: {classifier.recommended_threshold:.3g}",
        "",
        "| threshold | accuracy | precision | recall |",
        "| --- | --- | --- | --- |",
    ]
    for at in classifier.at_thresholds:
        figures = [_figure(value) for value in (at.threshold, at.accuracy, at.precision, at.recall)]
        lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _gan(results: Results, gan: GanRun) -> str:
    interval = "–".join(f"{1000 * value:.0f}" for value in gan.kid_interval or ())
    lines = [
        "## GAN",
        "",
        f"- {gan.steps} steps in {gan.minutes} minutes on {gan.num_pictures} pictures",
        f"- pictures: {_how_chosen(gan.pictures)}",
        f"- KID × 1000: {1000 * gan.kid:.0f}" + (f" (95 %: {interval})" if interval else ""),
        f"- diversity: {gan.diversity:.2f} of the training pictures'; collapsed: "
        + ("**yes**" if gan.collapsed else "no"),
        f"- recall: {gan.recall:.2f}; put together as real ones are: {_figure(gan.likeness)}",
        f"- near copies of training pictures: {100 * gan.near_copy_rate:.1f} %",
        *_best_of(gan),
        *(f"- **warning**: {warning}" for warning in gan.warnings),
        "",
        "## Files",
        "",
        *(f"- {name}: {path}" for name, path in results.files.items()),
        "",
        "Seconds: " + ", ".join(f"{name} {value:g}" for name, value in results.seconds.items()),
    ]
    return "\n".join(lines)


def _best_of(gan: GanRun) -> list[str]:
    if not gan.best_of:
        return []
    figures = f"KID × 1000 {1000 * gan.best_of.kid:.0f}, put together {_figure(gan.best_of.likeness)}"
    shown = f"the files show what its critic chose among up to {gan.candidates} for each seed"
    return [f"- **{shown}**: {figures}"]


def _how_chosen(facts: dict[str, Any]) -> str:
    """Describe how the training pictures were selected."""
    if facts["kind"] == "figures":
        left_out = ", ".join(f"{reason.replace('_', ' ')} {num}" for reason, num in facts["left_out"].items())
        return f"figures cut out of {facts['num_looked_at']} pictures (left out: {left_out})"
    why = f"; {facts['fell_back']}" if "fell_back" in facts else ""
    return f"whole squares{why}"


def _verdicts(results: Results, classifier: ClassifierRun) -> str:
    lines = [
        "## What the classifier says",
        "",
        f"Yes from a probability of {classifier.recommended_threshold:.3g}, which its card recommends.",
        "",
        "| picture | Pikachu? | probability |",
        "| --- | --- | --- |",
    ]
    for verdict in results.verdicts:
        if verdict.probability is None:
            lines.append(f"| {verdict.file} | – | {verdict.problem} |")
        else:
            answer = "yes" if verdict.is_pikachu else "no"
            lines.append(f"| {verdict.file} | {answer} | {verdict.probability:.4f} |")
    return "\n".join(lines)


def commands(results: Results, run: str) -> str:
    """Return lines to copy."""
    lines = []
    if results.gan:
        gan = results.gan
        asked: dict[str, Any] = {"candidates": gan.candidates} if gan.candidates > 1 else {}
        if not gan.is_served:
            asked["model_version"] = gan.version
        which = "".join(f"&{name}={value}" for name, value in asked.items())
        options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in asked.items())
        some_file = next(path for name, path in results.files.items() if name.startswith("seed"))
        lines += [
            f"curl -o pikachu.png '{results.url}/generate?seed=7&size=256{which}'",
            f"curl -o sheet.png '{results.url}/generate?n=25&seed=7&grid=true{which}'",
            f"curl --data-binary @'{some_file}' {results.url}/is-pikachu",
            f"{run} generate -n 16 --grid{options} --out sheet.png",
        ]
    lines += [f"{run} status", f"{run} down          # stops everything; pictures and models stay"]
    return "\n".join(("```sh", *lines, "```"))
