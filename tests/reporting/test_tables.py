import pytest

from rasa_compressed_bert.reporting.tables import points


@pytest.mark.parametrize("change, text", [(0.04, "0.0"), (-0.04, "0.0"), (0.25, "+0.2"), (-12.34, "-12.3")])
def test_points_have_a_sign_where_they_are_not_zero(change, text):
    assert points(change) == text
