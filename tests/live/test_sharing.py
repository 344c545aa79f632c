"""Broadcasters come, stop and are killed by a fixed seed: every partition is served, and fairly."""

import asyncio
import random
import re
import statistics
import time
from datetime import datetime, timezone

from kit import CentrifugeClient, Deployment
from kit.talk import Talk, all_go_on, finish_all
from kit.waiting import eventually_async

_SEED = 1851
_CHANGES = 15
_MOST = 6
_PARTITIONS = 16
# A room of each partition, of 16.
_ROOMS = ["room-7", "room-31", "room-11", "room-29", "room-3", "room-21", "room-5", "room-1",
          "room-2", "room-6", "room-67", "room-14", "room-8", "room-28", "room-10", "room-0"]
_TALKS = 4  # of the rooms are talked in all the time; the others when somebody looks
_SPARE_CLAIMS = 4  # that one change may cost beyond those partitions that have to move
_EVENT = re.compile(r"^(\S+Z) info partition (owned|released) partition=(\d+)", re.MULTILINE)


class _Shares:
    """The broadcasters of a deployment, and how long partitions were nobody's."""

    def __init__(self, running):
        self.running = running
        self.unowned = {"kill": [], "stop": [], "add": []}
        self._claimed = {}  # by those that are gone

    @property
    def living(self):
        return [b for b in self.running.broadcasters if b.alive()]

    def claims(self):
        """Claims by all that live, and by those that were asked before they ended."""
        for service in self.living:
            self._claimed[service.name, service.pid] = service.metric(
                "warren_broadcaster_claims_total")
        return sum(self._claimed.values())

    async def settled(self):
        """Waits until the shares are fair and all partitions served."""
        most = -(-_PARTITIONS // len(self.living))

        def fair():
            owned = [b.metric("warren_broadcaster_owned_partitions") for b in self.living]
            assert sum(owned) == _PARTITIONS and max(owned) <= most, owned
            return True
        await eventually_async(fair, what=f"{len(self.living)} have at most {most} each")

    def served_by(self, service):
        return [p for p in range(_PARTITIONS) if service.metric(
            "warren_broadcaster_partition_state", partition=p) == 2]

    def note(self, kind, since, lost=()):
        """Reads in the logs how long each partition waited for its next owner: those that were
        `lost` since that moment, those that were released since they were."""
        events = sorted(
            (datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%fZ").replace(
                tzinfo=timezone.utc).timestamp(), what, int(partition))
            for service in self.running.broadcasters if service.log.exists()
            for at, what, partition in _EVENT.findall(service.log_text()))
        free = {partition: since for partition in lost}
        for at, what, partition in events:
            if at < since - 0.001:
                continue
            if what == "released":
                free[partition] = at
            elif partition in free:
                self.unowned[kind].append(at - free.pop(partition))

    def tell(self):
        for kind, times in self.unowned.items():
            if times:
                print(f"{kind}: {len(times)} partitions had no owner for "
                      f"{1000 * statistics.median(times):.0f} ms (median), "
                      f"{1000 * max(times):.0f} ms (worst)")


async def _add(shares):
    gone = [b for b in shares.running.broadcasters if not b.alive()]
    if gone:
        await asyncio.to_thread(gone[0].start)
    else:
        await asyncio.to_thread(shares.running.add_broadcaster)
    return ()


async def _end(shares, victim, how):
    lost = shares.served_by(victim) if how == "kill" else ()
    await asyncio.to_thread(getattr(victim, how))
    return lost


async def test_partitions_are_served_and_shared_whoever_comes_and_goes(broker):
    drawn = random.Random(_SEED)
    with Deployment(broker, broadcasters=1,
                    settings={"topology.partitions": _PARTITIONS}) as running:
        one, two = running.gateways
        shares = _Shares(running)
        talks = [await Talk.start(room, one, two, pause=0.05) for room in _ROOMS[:_TALKS]]
        ann, bob = await CentrifugeClient.connect(one), await CentrifugeClient.connect(two)
        for room in _ROOMS[_TALKS:]:
            await bob.subscribe(room)
        await shares.settled()
        for change in range(_CHANGES):
            kinds = ["add"] * (len(shares.living) < _MOST) + \
                ["kill", "stop"] * (len(shares.living) > 1)
            kind = drawn.choice(kinds)
            before, held = shares.claims(), len(shares.living)
            since = time.time()
            lost = await (_add(shares) if kind == "add" else
                          _end(shares, drawn.choice(shares.living), kind))
            await asyncio.gather(*(ann.publish(room, change) for room in _ROOMS[_TALKS:]))
            for room in _ROOMS[_TALKS:]:
                await eventually_async(lambda r=room: len(bob.pubs(r)) == change + 1, what=room)
            await all_go_on(talks, 5)
            await shares.settled()
            shares.note(kind, since, lost)
            # Whoever comes takes a share at most, and whoever goes leaves one.
            must_move = -(-_PARTITIONS // max(held, len(shares.living)))
            assert shares.claims() - before <= must_move + _SPARE_CLAIMS
        shares.tell()
        for room in _ROOMS[_TALKS:]:
            pubs = bob.pubs(room)
            assert [p["data"] for p in pubs] == list(range(_CHANGES))
            assert [p["offset"] for p in pubs] == list(range(1, _CHANGES + 1))
        await finish_all(talks)
        for client in (ann, bob):
            await client.close()
