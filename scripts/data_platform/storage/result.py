"""A selection for a program: the envelope's `result`."""

from __future__ import annotations

from typing import Any

from data_platform.spec.storage import ANSWERS, StorageNeed
from data_platform.storage.defaults import Decided, decided
from data_platform.storage.enough import Enough, Limit
from data_platform.storage.rank import ENOUGH, Judgement, Standing
from data_platform.storage.select import Change, Companion, Selection


def result(asked: StorageNeed, selection: Selection) -> dict[str, Any]:
    """The envelope's `result`."""
    companions = selection.choice.companions
    named = [companion.system for companion in companions if companion.system]
    return {
        "choice": selection.choice.system,
        "companion": named[0] if named else None,
        "answer": str(selection.choice),
        "companions": [_companion(companion) for companion in companions],
        "tied_with": list(selection.tied),
        "ranking": [_standing(s, whole=n == 0) for n, s in enumerate(selection.standings)],
        "postgres_enough": _enough(selection.enough),
        "would_change": [_change(change) for change in selection.would_change],
        "would_change_companion": [_change(change) for change in selection.would_add],
        "weights": {j.criterion.id: j.criterion.weight for j in selection.standings[0].judgements},
        "need": {key: _plain(getattr(selection.need, key)) for key in ANSWERS},
        "decided_by_default": [_decided(one) for one in decided(asked, selection)],
        "apart": selection.apart,
        "short_of": [_reason(judgement) for judgement in selection.short],
        "not_answered": [key for key in ANSWERS if key not in asked.answered],
    }


def _decided(one: Decided) -> dict[str, Any]:
    return {"answer": one.key, "default": one.taken, "if": one.other, "then": one.then}


def _companion(companion: Companion) -> dict[str, Any]:
    return {
        "system": companion.system,
        "for": companion.job,
        "same_server": companion.inside,
        "because": companion.because,
    }


def _standing(standing: Standing, *, whole: bool) -> dict[str, Any]:
    """All marks, and for the first system all reasons; for the others what excludes them or speaks against them."""
    against = standing.excluded_by or tuple(j for j in standing.judgements if j.mark < ENOUGH)
    told = standing.judgements if whole and not standing.excluded_by else against
    return {
        "system": standing.system.name,
        "score": standing.score,
        "points": standing.points,
        "excluded": ", ".join(j.criterion.name for j in standing.excluded_by) or None,
        "marks": {j.criterion.id: j.mark for j in standing.judgements},
        "reasons": [_reason(judgement) for judgement in told],
    }


def _reason(judgement: Judgement) -> dict[str, Any]:
    return {
        "criterion": judgement.criterion.id,
        "speaks": "for" if judgement.mark >= ENOUGH else "against",
        "because": judgement.because,
        "evidence": judgement.evidence,
        "source": judgement.source,
    }


def _enough(found: Enough) -> dict[str, Any]:
    return {
        "enough": found.enough,
        "until": _limit(found.until) if found.until else None,
        "because": [f"{criterion.name}: {fact.because}" for criterion, fact in found.lacking]
        or ["every criterion is within what PostgreSQL does itself"],
        "with": list(found.with_),
        "limits": [_limit(limit) for limit in found.limits],
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {
        "criterion": limit.criterion.id,
        "unit": "bytes" if limit.criterion.id == "volume" else limit.criterion.name,
        "now": round(limit.now),
        "at_horizon": round(limit.at_horizon),
        "limit": round(limit.most),
        "years": limit.years,
        "system": limit.system.name,
        "because": limit.fact.because,
        "evidence": limit.fact.evidence,
        "source": limit.fact.source,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "answer": change.answer.key,
        "from": _plain(change.before),
        "to": _plain(change.after),
        "choice": change.choice.system,
        "companions": [companion.system for companion in change.choice.companions],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
