"""JSON values and texts for tests that judge documents; strategies and nothing else."""

import json

from hypothesis import strategies as st

characters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(characters, max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(characters, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def texts(draw, of=values):
    """Draw a value and one of the many ways to write it."""
    value = draw(of)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, 2, "\t"])))
    return value, draw(st.sampled_from(["", " ", "\n\n"])) + text + draw(st.sampled_from(["", "\n", " \t\r\n"]))
