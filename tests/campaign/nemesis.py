"""What goes wrong in a campaign: faults drawn from a seed, done to services, links and the broker.

A fault has a target that nothing else is done to meanwhile, is done, lasts, and is undone.
"""

import json
import random
import time

from relay import IN, OUT

BROKER = "rabbitmq"
_READY_S = 180.0

# Each kind of fault as often as it is here; every deck is shuffled anew.
DECK = (
    ["kill gateway"] * 2 + ["kill broadcaster"] * 2 + ["kill broker"] * 2
    + ["freeze gateway", "freeze broadcaster", "freeze broker"]
    + ["hang gateway", "hang broadcaster"]  # freezes and is killed
    + ["restart gateway", "restart broadcaster", "restart broker"]
    + ["cut out", "cut in", "cut both", "reset links", "lose publishes", "lose confirms"]
    + ["alarm", "full queues", "roll gateways", "roll broadcasters"])
_AT_ONCE = 0.25  # of the faults come while another is in force
_AWAITED = 0.7  # of the faults: the next one waits until all rooms go on


class Fault:
    """One fault: its name for people, the targets it takes, what to do and what undoes it."""

    def __init__(self, kind, targets, seconds, do, undo=lambda: None):
        self.kind, self.targets, self.seconds = kind, targets, seconds
        self.do, self.undo = do, undo

    def __str__(self):
        lasts = f" {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind} ({', '.join(self.targets)}){lasts}"


class Nemesis:
    """Draws faults and does them. `relays`: service to its Relay."""

    def __init__(self, running, relays, seed, longest, log, kinds=DECK):
        self.running, self.relays, self.longest = running, relays, longest
        self.random = random.Random(f"{seed} nemesis")
        self.crashes = []  # services that ended by themselves
        self._log = log
        self._kinds = kinds
        self._deck = []
        self._done = 0

    def draw(self, room=2):
        """One fault, or two at once if there is room for two."""
        faults = [self._make(self._card())]
        if room > 1 and self.random.random() < _AT_ONCE:
            other = self._make(self._card())
            if set(other.targets).isdisjoint(faults[0].targets):
                faults.append(other)
            else:
                self._deck.append(other.kind)
        return faults

    def strike(self, faults):
        """Does the faults, lets each last, undoes them and waits until all services are ready."""
        self._look_for_crashes()
        numbers = []
        begun = time.monotonic()
        for fault in faults:
            self._done += 1
            numbers.append(self._done)
            self._note("fault", n=self._done, kind=fault.kind, targets=fault.targets,
                       seconds=round(fault.seconds, 2))
            fault.do()
        for fault in sorted(faults, key=lambda fault: fault.seconds):
            time.sleep(max(0.0, begun + fault.seconds - time.monotonic()))
            fault.undo()
        self.wait_ready()
        for number in numbers:
            self._note("healed", n=number)

    def waits(self):
        """Whether the next fault waits until all rooms go on, and how long it lets them."""
        return self.random.random() < _AWAITED, self.random.uniform(0.2, 2.0)

    def wait_ready(self):
        """Waits for the broker and all services; those that crashed are noted and started anew."""
        self.running.broker.wait_ready(_READY_S)
        self._look_for_crashes()
        for service in self._services():
            service.wait_ready(_READY_S)

    def _look_for_crashes(self):
        for service in self._services():
            if service.process is not None and service.process.poll() is not None:
                self.crashes.append(f"{service.name} ended with {service.process.returncode}: "
                                    f"{service.complaint()}")
                service.process = None
                service.start(wait=False)

    def _services(self):
        return self.running.gateways + self.running.broadcasters

    def _note(self, what, **fields):
        self._log.write(json.dumps({"t": time.monotonic(), "what": what, **fields}) + "\n")
        self._log.flush()

    def _card(self):
        if not self._deck:
            self._deck = list(self._kinds)
            self.random.shuffle(self._deck)
        return self._deck.pop()

    def _lasting(self):
        """From half a second on; short ones are as frequent as long ones."""
        return 0.5 * (self.longest / 0.5) ** self.random.random()

    def _make(self, kind):
        verb, what = kind.split(" ") if " " in kind else (kind, "")
        return getattr(self, f"_{verb}")(kind, what)

    def _one(self, what):
        """A service of that kind, or the broker; and its name."""
        if what == "broker":
            return self.running.broker, BROKER
        service = self.random.choice(
            self._services() if not what else getattr(self.running, f"{what}s"))
        return service, service.name

    @staticmethod
    def _start(service, name):
        if name == BROKER:
            service.start()
        else:
            service.start(wait=False)

    def _kill(self, kind, what):
        service, name = self._one(what)
        return Fault(kind, [name], self.random.uniform(0, 2), service.kill,
                     lambda: self._start(service, name))

    def _freeze(self, kind, what):
        service, name = self._one(what)
        return Fault(kind, [name], self._lasting(), service.pause, service.resume)

    def _hang(self, kind, what):
        """Frozen, then killed: what was on its way to it is lost with it."""
        service, name = self._one(what)

        def end():
            service.kill()
            self._start(service, name)
        return Fault(kind, [name], self.random.uniform(0.5, 1.5), service.pause, end)

    def _restart(self, kind, what):
        service, name = self._one(what)
        return Fault(kind, [name], self.random.uniform(0, 1), service.stop,
                     lambda: self._start(service, name))

    def _cut(self, kind, what):
        service, name = self._one("")
        relay = self.relays[service]
        ways = {"out": [OUT], "in": [IN], "both": [OUT, IN]}[what]
        ends_by_reset = self.random.random() < 0.5
        return Fault(kind, [name], self._lasting(), lambda: relay.cut(*ways),
                     lambda: relay.heal(ends_by_reset))

    def _lose(self, kind, what):
        """What a gateway has sent, or what it would hear, is lost with its connections."""
        service, name = self._one("gateway")
        relay = self.relays[service]
        way = OUT if what == "publishes" else IN
        return Fault(kind, [name], self.random.uniform(0.5, 1.5), lambda: relay.cut(way),
                     lambda: relay.heal(reset=True))

    def _reset(self, kind, what):
        del what
        service, name = self._one("")
        relay = self.relays[service]
        return Fault(kind, [name], self.random.uniform(0, 3), relay.refuse, relay.heal)

    def _alarm(self, kind, what):
        del what
        node = self.running.broker
        return Fault(kind, [BROKER], self._lasting(),
                     lambda: node.ctl("set_vm_memory_high_watermark", "absolute", "1MB"),
                     lambda: node.ctl("set_vm_memory_high_watermark", "0.4"))

    def _full(self, kind, what):
        """Nobody takes anything from the inputs until they refuse more."""
        del what
        all_of_them = list(self.running.broadcasters)

        def each(method):
            for service in all_of_them:
                getattr(service, method)()
        return Fault(kind, [service.name for service in all_of_them], self._lasting(),
                     lambda: each("pause"), lambda: each("resume"))

    def _roll(self, kind, what):
        """Restarts all of a kind, one after the other, without waiting for more than the start."""
        all_of_them = list(getattr(self.running, what))

        def restart():
            for service in all_of_them:
                service.stop()
                service.start(wait=False)
        return Fault(kind, [service.name for service in all_of_them], 0.0, restart)
