"""What becomes of a broadcaster when the queue that all broadcasters consume is gone."""

import pika
from kit import Deployment, eventually

_OWNED = "warren_broadcaster_owned_partitions"
_NOTICES = "warren_broadcaster_notices_total"


def _lose_queue(broker, prefix, service):
    service.wait_metric(_OWNED, 4)
    queue = f"{prefix}.broadcasters"
    notice = pika.BasicProperties(type="released", headers={"partition": 0, "owner": "other"})

    def is_member():
        try:
            with broker.channel() as channel:
                return channel.queue_declare(queue, passive=True).method.consumer_count == 1
        except pika.exceptions.ChannelClosedByBroker:
            return False
    for _ in range(3):
        with broker.channel() as channel:
            for _ in range(200):  # it finds the queue gone before it reads that its consumer is
                channel.basic_publish(f"{prefix}.owner", "all", b"", notice)
            channel.queue_delete(queue)
        eventually(is_member)
        heard = service.metric(_NOTICES)
        with broker.channel() as channel:
            channel.basic_publish(f"{prefix}.owner", "all", b"", notice)
        service.wait_metric(_NOTICES, lambda count: count > heard)
    service.wait_metric(_OWNED, 4)
    assert service.metric("warren_broadcaster_reconnects_total") == 0


def test_a_member_whose_queue_is_gone_joins_again_and_keeps_its_partitions(broker):
    with Deployment(broker, gateways=0, broadcasters=1) as running:
        _lose_queue(broker, running.prefix, running.broadcasters[0])
