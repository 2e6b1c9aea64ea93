import pytest
from hypothesis import given
from hypothesis import strategies as st

from manscdp import repair

STEPS = [
    (repair.cut_to_root, "x<Notify><a/></Notify>y", "<Notify><a/></Notify>"),
    (repair.cut_to_root, "<Response>1</Response><Notify/>", "<Response>1</Response>"),
    (repair.cut_to_root, "<t:Query a='1'></t:Query >!", "<t:Query a='1'></t:Query >"),
    (repair.cut_to_root, "<Notify><a>", "<Notify><a>"),
    (repair.cut_to_root, "<Notifyer/>", "<Notifyer/>"),
    (repair.escape_ampersands, "a & b &amp; &x; &", "a &amp; b &amp; &amp;x; &amp;"),
    (repair.escape_ampersands, "&#65;&#0;&#x1;&#x41;&#xD800;&#x1F600;", "&#65;&#x41;&#x1F600;"),
    (repair.escape_free_text, "<Address>a<b>c</Address>", "<Address>a&lt;b&gt;c</Address>"),
    (repair.escape_free_text, "<Name><![CDATA[a<b]]></Name>", "<Name><![CDATA[a<b]]></Name>"),
    (repair.escape_free_text, "<Model>3 < 5<6</Model>", "<Model>3 &lt; 5&lt;6</Model>"),
    (repair.escape_free_text, "<Address>never closed", "<Address>never closed"),
    (repair.drop_prefixes, "<t:a x='1'></t:a>", "<a x='1'></a>"),
]


@pytest.mark.parametrize(("step", "text", "repaired"), STEPS)
def test_steps(step: repair.Step, text: str, repaired: str) -> None:
    assert step(text) == repaired


@pytest.mark.parametrize("piece", ["<Address>", "<Notify>", "&", "<", "<a:", "&#1", " <?xml "])
@pytest.mark.timeout(5)
def test_every_step_is_linear(piece: str) -> None:
    text = piece * (1024 * 1024 // len(piece))
    for _, step in repair.STEPS:
        step(text)


@given(st.text("<>/&#;:aNotifyAddress ", max_size=60))
def test_a_second_pass_changes_nothing(text: str) -> None:
    for _, step in repair.STEPS[:3]:
        once = step(text)
        assert step(once) == once
