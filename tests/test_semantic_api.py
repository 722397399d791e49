from tests.worlds import STATELESS
def test_x(shop):
    assert STATELESS in shop.splits
