"""Reports, job results and model cards as text for people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pikastack.typed import command

_FEW = 5
_FIGURES = (("roc_auc", "ROC-AUC"), ("pr_auc", "PR-AUC"))


def clock(moment: str | None) -> str:
    """Format an ISO time in local time."""
    return datetime.fromisoformat(moment).astimezone().strftime("%b %d %H:%M:%S") if moment else ""


def facts(values: dict[str, Any], indent: int = 2) -> list[str]:
    """Format a dictionary as lines `name  value`; nested ones are indented, long lists are counted."""
    rows = list(_rows(values, indent))
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {value}".rstrip() for name, value in rows]


def _rows(values: dict[str, Any], indent: int) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        title = " " * indent + name.replace("_", " ")
        if value is None or value in ({}, [], ""):
            continue
        if isinstance(value, dict):
            yield title, ""
            yield from _rows(value, indent + 2)
        else:
            yield title, _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        is_short = len(value) <= _FEW and not any(isinstance(one, dict | list) for one in value)
        return ", ".join(map(_value, value)) if is_short else f"{len(value)} of them"
    return str(value)


def describe_job(view: dict[str, Any]) -> str:
    """Describe a job's outcome: its result, or where it can be watched."""
    if view["status"] != "finished":
        return f"{view['name']} {view['status']}; watch it: {command()} jobs watch {view['id']}"
    lines = [f"{view['name']}: finished", *facts(view["result"] or {})]
    if view["name"] == "filter":
        lines.append(f"  nearest to the threshold: /filter/{view['id']}/accepted.png and …/left-out.png")
    return "\n".join(lines)


def describe_intake(report: dict[str, Any]) -> str:
    """Describe a scrape or upload: counts, and each reason for a rejection with names."""
    lines = [
        f"  taken {report.get('taken', 0)} of {report.get('looked_at', 0)}, "
        f"already there {report.get('already_there', 0)}, "
        f"exact duplicates {report.get('exact_duplicates', 0)}, refused {report.get('refused', 0)}"
    ]
    samples = report.get("samples") or {}
    for reason, count in (report.get("refused_by_reason") or {}).items():
        lines.append(f"    {reason.replace('_', ' ')}: {count}{_named(samples.get(reason, []), count)}")
    skipped = report.get("skipped") or {}
    lines += [f"    skipped, {why}: {count}" for why, count in skipped.items() if count]
    if report.get("repeated"):
        lines.append(f"    named more than once: {report['repeated']}")
    for name, of_source in (report.get("by_source") or {}).items():
        lines += [f"    {name}, {query!r}: {why}" for query, why in of_source["stopped"].items()]
    return "\n".join(lines)


def _named(names: list[Any], count: int) -> str:
    """List some of the files, as far as their names were kept."""
    known = [str(name) for name in names if isinstance(name, str)]
    if not known:
        return ""
    more = ", …" if count > len(known) else ""
    return f" ({', '.join(known)}{more})"


def describe_preparation(report: dict[str, Any]) -> str:
    """Describe a preparation in one line."""
    return (
        f"prepared {report.get('prepared', 0)}, near duplicates kept out {report.get('near_duplicates', 0)}, "
        f"refused {report.get('refused', 0)}; there are now {report.get('in_images', 0)} pictures"
    )


def describe_labels(report: dict[str, Any]) -> str:
    """Describe an import of labels: counts, and the rejected files."""
    names = ("files", "imported", "unchanged", "duplicates", "refused")
    lines = ["labels: " + ", ".join(f"{name} {report.get(name, 0)}" for name in names)]
    refused = report.get("refused_files") or []
    lines += [f"  {one['file']}: {one['detail'] or one['reason']}" for one in refused[:_FEW]]
    if len(refused) > _FEW:
        lines.append(f"  and {len(refused) - _FEW} more")
    return "\n".join(lines)


def describe_label_counts(counts: dict[str, Any]) -> str:
    """Describe the number of labels, one line per split."""
    return "\n".join(
        f"{split}: " + ", ".join(f"{name} {count}" for name, count in by_label.items())
        for split, by_label in counts.items()
        if isinstance(by_label, dict)
    )


def describe_card(card: dict[str, Any]) -> str:
    """Describe a version's main figures in one line."""
    if "evaluation" in card:
        measured = card["evaluation"]
        words = [
            f"{card['preset']['name']}, {card['resolution']} px, {card['steps']:,} steps",
            f"KID×1000 {1000 * measured['kid']:.0f}",
            f"recall {measured['recall']:.2f}",
        ]
        if measured.get("likeness") is not None:
            words.append(f"likeness {measured['likeness']:.2f}")
    else:
        told = card.get("validation", {})
        words = [card["preset"]["name"]]
        words += [f"{title} {told[name]:.3f}" for name, title in _FIGURES if told.get(name) is not None]
        if card.get("recommended_threshold") is not None:
            words.append(f"threshold {card['recommended_threshold']:.2f}")
    words += card.get("gate", {}).get("faults", [])
    if card.get("withdrawn"):
        words.append(f"saw {len(card['withdrawn'])} pictures that were withdrawn")
    return ", ".join(words)


def describe_comparison(answer: dict[str, Any]) -> str:
    """Compare two versions' figures, and say whether the labels can tell them apart."""
    lines = []
    for card in (answer["base"], answer["other"]):
        told = card["validation"]
        figures = ", ".join(
            f"{title} {told[name]:.3f} ({told[f'{name}_interval'][0]:.3f}–{told[f'{name}_interval'][1]:.3f})"
            for name, title in _FIGURES
            if told.get(f"{name}_interval")
        )
        lines.append(f"{card['version']} ({card['preset']}): {figures}")
    for name, title in _FIGURES:
        difference = answer["difference"][name]
        if difference is None:
            continue
        low, high = difference["interval"]
        verdict = "a clear difference" if difference["is_clear"] else "the labels do not tell them apart"
        lines.append(f"{title}: {difference['value']:+.3f} ({low:+.3f} to {high:+.3f}), {verdict}")
    seen = answer["pictures"]
    lines.append(
        f"{answer['labels_in_common']} labels in common. Of {seen['in_common']} pictures both accept "
        f"{seen['accepted_by_both']}"
    )
    return "\n".join(lines)
