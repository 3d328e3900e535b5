"""Do the certificates of the link still hold, and for long enough to replace them in time?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Floor
from agent.health.view import CertificateFacts, Finding, View

MEANING = "the certificates of the link to the broker are valid and do not end soon"
DAYS = Floor(warning=30, critical=3, margin=0.0)
_DAY_S = 86_400


def check(view: View) -> Iterable[Finding]:
    """Warning 30 days before the end, critical 3 days before; by file."""
    for file, certificate in view.certificates.items():
        yield _judge(file, certificate)


def _judge(file: str, certificate: CertificateFacts) -> Finding:
    if certificate.fault:
        return Finding(
            subject=file,
            severity="warning",
            text=certificate.fault,
            code="link.tls",
            remedy="put a certificate in PEM form there that the agent's user may read",
        )
    if certificate.began_s_ago < 0:
        return Finding(
            subject=file,
            severity="critical",
            text="not valid yet",
            code="link.tls",
            remedy="check the clock of this device; else ask who made the certificate",
        )
    days = certificate.ends_in_s / _DAY_S
    severity = DAYS.judge(days, "ok")
    if severity == "ok":
        return Finding(subject=file, severity="ok", text=f"valid for over {DAYS.warning:g} days")
    limit = DAYS.limit(severity)
    return Finding(
        subject=file,
        severity=severity,
        text=f"ends within {limit:g} days" if days > 0 else "has ended: the broker and this device part",
        code="link.tls",
        remedy="have it renewed and put the new file in its place; it is read at the next connect",
    )
