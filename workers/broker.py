"""The broker's client, where a reply that never comes must not stop a worker for ever."""

from typing import Any

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    """Counts a message as done also where Redis did not hear of it.

    Kombu logs an acknowledgement that fails and goes on counting the message as under way. With two
    of those, which is the prefetch limit, a worker would be idle until somebody restarts it. The
    message comes once more, after the visibility time-out, and finds its mail sent.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            redis.QoS.ack(self, delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


def forgive_lost_acknowledgements() -> None:
    channel: Any = redis.Channel
    channel.QoS = QoS
