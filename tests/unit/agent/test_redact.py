"""No secret leaves, whatever the URL around it looks like."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import Redactor
from runtime.redact import redact

pytestmark = pytest.mark.unit

# Letters that occur in no other part of the URLs below.
SECRET = st.text(alphabet="QWXZ9%@:;!$&'()*+,=äß ", min_size=4, max_size=20).filter(lambda text: text.strip())
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "mqtt", "mqtts"])


@given(SCHEMES, SECRET, SECRET)
def test_the_user_part_of_a_url_never_survives(scheme: str, user: str, password: str) -> None:
    quoted_user, quoted = quote(user, safe=""), quote(password, safe="")
    text = f"cannot open {scheme}://{quoted_user}:{quoted}@camera:554/live/1 now"
    assert redact(text) == f"cannot open {scheme}://camera:554/live/1 now"


@given(SCHEMES, st.text(alphabet="QWXZ9@:;!$&'()*+,=%", min_size=1, max_size=20))
def test_an_unquoted_password_does_not_survive_either(scheme: str, password: str) -> None:
    assert redact(f"{scheme}://me:{password}@camera/live") == f"{scheme}://camera/live"


@given(SECRET, st.text(max_size=50), st.text(max_size=50))
def test_a_learned_secret_is_gone_in_every_form(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn(secret)
    for form in (secret, quote(secret, safe="")):
        assert form not in redactor(f"{before}{form}{after}").replace("***", "")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://cam/user=admin_password=tlJ6_channel=1", "rtsp://cam/user=***_password=***_channel=1"),
        ("http://cam/video.cgi?user=a&pwd=b&fps=5", "http://cam/video.cgi?user=***&pwd=***&fps=5"),
        ("http://cam/x?token=abc#end", "http://cam/x?token=***#end"),
        ("no url: user=admin", "no url: user=admin"),
        ("rtsp://camera/live@1", "rtsp://camera/live@1"),
        ("two: rtsp://a:b@c/1 and http://d:e@f/2", "two: rtsp://c/1 and http://f/2"),
    ],
)
def test_known_forms(text: str, clean: str) -> None:
    assert redact(text) == clean


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", ["a" * 100_000 + " ://x", "x://" + "key=" * 9999, "x://k=" + "_a" * 50_000])
def test_a_long_line_of_a_stranger_takes_no_longer_than_its_length(text: str) -> None:
    """Workers print what cameras said, and the agent's event loop redacts it."""
    began = time.process_time()
    Redactor()(text)
    assert time.process_time() - began < 1.0  # milliseconds; it was a quarter of a minute
