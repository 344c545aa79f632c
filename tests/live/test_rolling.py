"""Gateways are restarted one by one under load: nothing is lost, doubled or reordered."""

from kit import Deployment
from kit.residents import Town, report, restart_one_by_one

_OUTAGE_MAX = 60.0  # seconds; a goal of two is measured by tests/bench/rolling


async def test_a_rolling_restart_is_hardly_noticed(broker, capsys):
    settings = {"gateway.drain": "2s", "gateway.per_address": "0", "gateway.address_rate": "0"}
    with Deployment(broker, gateways=2, broadcasters=2, gateway=settings) as running:
        async with Town(running.gateways, rooms=50, size=9, pause=1.0) as town:
            await town.goes_on()
            await restart_one_by_one(town, running.gateways)
            await town.finish()
            # Everybody had to go at least once, and was told so in the same words.
            assert set(town.endings()) == {3001}
            assert len(town.outages()) >= len(town.residents)
            assert town.outages()[-1] < _OUTAGE_MAX
            with capsys.disabled():
                print(f"\nrolling restart: {report(town)}")
        for gateway in running.gateways:
            gateway.wait_metric("warren_gateway_sessions", 0)
        assert len(running.broker.names("queues", f"{running.prefix}.gateway")) == 2
        running.gateways[0].stop()  # takes its exchange and its queue with it
        assert len(running.broker.names("queues", f"{running.prefix}.gateway")) == 1
        assert len(running.broker.names("exchanges", f"{running.prefix}.gateway")) == 1
